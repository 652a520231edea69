"""DALI: file names in, squashed uint8 images out, on a CPU or a GPU.

One pipeline lives as long as its decoder. A bad file destroys a DALI pipeline and is not always named in the error,
so after an error the pipeline is built anew, Pillow tells the bad files from the good ones, and the good ones are
decoded again; what Pillow alone can read (GIF, say) is taken from Pillow.

On a CPU the pixels are Pillow's within one grey level, but for the outermost row or column of a much reduced image:
at the border DALI's filter repeats the last pixel and Pillow's is cut short.
"""

import importlib
import importlib.util
import os
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from psol_ray.images.batch import DecodedBatch
from psol_ray.images.pillow import decode_file

__all__ = ["DaliDecoder", "dali_available"]


def dali_available() -> bool:
    """Whether DALI is installed (its wheels exist for Linux only)."""
    return importlib.util.find_spec("nvidia") is not None and importlib.util.find_spec("nvidia.dali") is not None


def _build_pipeline(
    size: int, batch_size: int, regions: bool, num_threads: int, gpu: int | None, hw_share: float | None
) -> Any:
    # DALI makes its operators and constants at import; its stubs know few of them.
    dali: Any = importlib.import_module("nvidia.dali")
    fn, types = dali.fn, dali.types
    decoded = {
        "device": "cpu" if gpu is None else "mixed",
        "output_type": types.RGB,
        "adjust_orientation": False,
        **({} if gpu is None or hw_share is None else {"hw_decoder_load": hw_share}),
    }

    @dali.pipeline_def
    def pipeline() -> Any:
        encoded = fn.io.file.read(fn.external_source(name="path", dtype=types.UINT8, ndim=1))
        if regions:
            start = fn.external_source(name="start", dtype=types.INT32, ndim=1)
            shape = fn.external_source(name="shape", dtype=types.INT32, ndim=1)
            images = fn.decoders.image_slice(encoded, start=start, shape=shape, axes=(1, 0), **decoded)
        else:
            images = fn.decoders.image(encoded, **decoded)
        # antialias=True is what makes DALI's linear filter Pillow's.
        images = fn.resize(images, size=[size, size], interp_type=types.INTERP_LINEAR, antialias=True)
        if regions:
            images = fn.flip(images, horizontal=fn.external_source(name="flip", dtype=types.INT32, ndim=0))
        return images

    built = pipeline(batch_size=batch_size, num_threads=num_threads, device_id=gpu, prefetch_queue_depth=1)
    built.build()
    return built


class DaliDecoder:
    """A `Decoder` made of one DALI pipeline."""

    def __init__(
        self,
        size: int,
        batch_size: int,
        *,
        regions: bool = False,
        num_threads: int = 1,
        gpu: int | None = None,
        hw_share: float | None = None,
    ) -> None:
        self._size = size
        self._settings = (size, batch_size, regions, num_threads, gpu, hw_share)
        self._device = torch.device("cpu" if gpu is None else f"cuda:{gpu}")
        self._stream = None if gpu is None else torch.cuda.Stream(self._device)
        self._pipeline: Any = None
        # A thread that was told to stop may still be decoding its last batch when the next one starts.
        self._alone = threading.Lock()

    def decode(
        self,
        paths: Sequence[str],
        regions_N4: NDArray[np.integer] | None = None,
        flips_N: NDArray[np.bool_] | None = None,
    ) -> DecodedBatch:
        """See `Decoder.decode`."""
        whole = None if regions_N4 is None else np.asarray(regions_N4, np.int32)
        flips = np.zeros(len(paths), bool) if flips_N is None else np.asarray(flips_N)
        with self._alone:
            images_NHWC = self._try(paths, whole, flips)
            if images_NHWC is None:
                return self._salvage(paths, whole, flips)
        return DecodedBatch(images_NHWC, np.ones(len(paths), bool))

    def _try(
        self, paths: Sequence[str], regions_N4: NDArray[np.int32] | None, flips_N: NDArray[np.bool_]
    ) -> torch.Tensor | None:
        """All of these files, or None where DALI fails on one of them."""
        if self._pipeline is None:
            # Not below `try`: a DALI that cannot start at all must not pass for a million bad files.
            self._pipeline = _build_pipeline(*self._settings)
        try:
            return self._run(paths, regions_N4, flips_N)
        except RuntimeError:
            self._pipeline = None
            return None

    def _run(
        self, paths: Sequence[str], regions_N4: NDArray[np.int32] | None, flips_N: NDArray[np.bool_]
    ) -> torch.Tensor:
        feed = {"path": [np.frombuffer(os.fsencode(path), np.uint8) for path in paths]}
        if regions_N4 is not None:
            feed["start"] = list(regions_N4[:, :2])
            feed["shape"] = list(regions_N4[:, 2:] - regions_N4[:, :2])
            feed["flip"] = list(flips_N.astype(np.int32))
        for name, values in feed.items():
            self._pipeline.feed_input(name, values)
        (images,) = self._pipeline.run()
        return self._copy(images)

    def _copy(self, images: Any) -> torch.Tensor:
        """Out of DALI's buffers, which its next run reuses while the caller still holds this batch."""
        if self._stream is None:
            return torch.from_dlpack(images.as_tensor()).clone()
        # On PyTorch's default stream the copy would queue behind the network that works on the last batch, and DALI,
        # whose streams know nothing of that queue, could overwrite the buffer before the copy's turn came.
        with torch.cuda.stream(self._stream):
            copy_NHWC = torch.from_dlpack(images.as_tensor()).clone()
        self._stream.synchronize()
        copy_NHWC.record_stream(torch.cuda.default_stream(self._device))
        return copy_NHWC

    def _salvage(
        self, paths: Sequence[str], regions_N4: NDArray[np.int32] | None, flips_N: NDArray[np.bool_]
    ) -> DecodedBatch:
        images_NHWC = torch.zeros((len(paths), self._size, self._size, 3), dtype=torch.uint8, device=self._device)
        ok_N = np.zeros(len(paths), bool)
        for i, path in enumerate(paths):
            region = None if regions_N4 is None else regions_N4[i]
            by_pillow = decode_file(path, self._size, None if region is None else list(region), bool(flips_N[i]))
            if by_pillow is None:
                continue
            ok_N[i] = True
            by_dali = self._try([path], None if region is None else region[None], flips_N[i : i + 1])
            images_NHWC[i] = torch.from_numpy(by_pillow.copy()) if by_dali is None else by_dali[0]
        return DecodedBatch(images_NHWC, ok_N)
