"""Copies to a GPU and waiting for it, neither behind the network's batches nor with a CPU kept busy."""

from collections import deque
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["Launches", "SideStream"]


class SideStream:
    """A stream beside PyTorch's default one, on which the network's batches are queued; on a CPU there is none."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def handed_over(self, make: Callable[[], torch.Tensor]) -> torch.Tensor:
        """What `make` makes, ready for PyTorch's default stream.

        On that stream a copy would queue behind the network that works on the last batch; and DALI, whose streams know
        nothing of that queue, could overwrite the buffer before the copy's turn came.
        """
        if self._stream is None:
            return make()
        with torch.cuda.stream(self._stream):
            made = make()
            done = _recorded()
        done.synchronize()
        made.record_stream(torch.cuda.default_stream(self._device))
        return made

    def copied(self, arrays: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
        """Arrays of one shape in main memory, at least one, as one tensor on the device, by one copy."""
        if self._stream is None:
            return torch.from_numpy(np.stack(arrays))
        # Out of pageable memory a copy is made in pieces by the CPU.
        pinned = torch.empty((len(arrays), *arrays[0].shape), dtype=torch.uint8, pin_memory=True)
        np.stack(arrays, out=pinned.numpy())
        return self.handed_over(lambda: pinned.to(self._device, non_blocking=True))


class Launches:
    """What a GPU was given and has not finished, on PyTorch's default stream; on a CPU there is nothing."""

    def __init__(self, device: torch.device, most: int) -> None:
        """`most` is how much may be unfinished."""
        self._is_cuda, self._most = device.type == "cuda", most
        self._unfinished: deque[torch.cuda.Event] = deque()

    def add(self) -> None:
        """One more was launched; waits until all but the last are finished, so that no memory is taken for more."""
        if not self._is_cuda:
            return
        self._unfinished.append(_recorded())
        if len(self._unfinished) > self._most:
            self._unfinished.popleft().synchronize()


def _recorded() -> torch.cuda.Event:
    """The end of what was launched so far; waiting for it sleeps, where CUDA's default is to ask in a loop."""
    event = torch.cuda.Event(blocking=True)
    event.record()
    return event
