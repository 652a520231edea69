"""Networks whose weights nobody fills in: for their shapes, or because a file's tensors follow at once.

Random numbers for 138 M weights take a second; and on no device at all PyTorch draws them by way of its compiler, whose
import takes longer than everything else until a network is there.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

__all__ = ["on_no_device", "unfilled"]

# The inverse error function makes cut normal numbers of uniform ones.
_NAMES = "bernoulli cauchy erfinv exponential geometric log_normal normal random uniform"
_RANDOM = frozenset(getattr(torch.Tensor, f"{name}_") for name in _NAMES.split())


class unfilled(TorchFunctionMode):  # used like a function
    """In the block, random numbers that a tensor is to be filled with leave it as it is: what was in that memory."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        if func in _RANDOM or getattr(func, "__module__", "") == "torch.nn.init":
            return args[0] if args else named["tensor"]
        return func(*args, **named)


@contextmanager
def on_no_device() -> Iterator[None]:
    """In the block, networks have shapes and no tensors."""
    with torch.device("meta"), unfilled():
        yield
