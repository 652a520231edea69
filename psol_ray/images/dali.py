"""DALI: file names in, squashed uint8 images out, on a CPU or a GPU.

One pipeline lives as long as its decoder. A bad file destroys a DALI pipeline and is not always named in the error,
so after an error the pipeline is built anew, Pillow tells the bad files from the good ones, and the good ones are
decoded again; what Pillow alone can read (GIF, say) is taken from Pillow.
"""

import importlib.util
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from psol_ray.images.decoder import DecodedBatch
from psol_ray.images.pillow import decode_file

__all__ = ["DaliDecoder", "dali_available"]


def dali_available() -> bool:
    """Whether DALI is installed (its wheels exist for Linux only)."""
    return importlib.util.find_spec("nvidia") is not None and importlib.util.find_spec("nvidia.dali") is not None


def _build_pipeline(size: int, batch_size: int, regions: bool, num_threads: int, gpu: int | None) -> Any:
    from nvidia.dali import fn, pipeline_def, types

    decoded = {
        "device": "cpu" if gpu is None else "mixed",
        "output_type": types.RGB,
        "adjust_orientation": False,
    }

    @pipeline_def
    def pipeline() -> Any:
        encoded = fn.io.file.read(fn.external_source(name="path", dtype=types.UINT8, ndim=1))
        if regions:
            start = fn.external_source(name="start", dtype=types.INT32, ndim=1)
            shape = fn.external_source(name="shape", dtype=types.INT32, ndim=1)
            images = fn.decoders.image_slice(encoded, start=start, shape=shape, axes=(1, 0), **decoded)
        else:
            images = fn.decoders.image(encoded, **decoded)
        # antialias=True is what makes DALI's linear filter Pillow's (within one grey level).
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
    ) -> None:
        self._size = size
        self._settings = (size, batch_size, regions, num_threads, gpu)
        self._device = torch.device("cpu" if gpu is None else f"cuda:{gpu}")
        self._pipeline: Any = None

    def decode(
        self,
        paths: Sequence[str],
        regions_N4: NDArray[np.integer] | None = None,
        flips_N: NDArray[np.bool_] | None = None,
    ) -> DecodedBatch:
        """See `Decoder.decode`."""
        whole = None if regions_N4 is None else np.asarray(regions_N4, np.int32)
        flips = np.zeros(len(paths), bool) if flips_N is None else np.asarray(flips_N)
        try:
            return DecodedBatch(self._run(paths, whole, flips), np.ones(len(paths), bool))
        except RuntimeError:
            self._pipeline = None
            return self._salvage(paths, whole, flips)

    def _run(
        self, paths: Sequence[str], regions_N4: NDArray[np.int32] | None, flips_N: NDArray[np.bool_]
    ) -> torch.Tensor:
        if self._pipeline is None:
            self._pipeline = _build_pipeline(*self._settings)
        feed = {"path": [np.frombuffer(path.encode(), np.uint8) for path in paths]}
        if regions_N4 is not None:
            feed["start"] = list(regions_N4[:, :2])
            feed["shape"] = list(regions_N4[:, 2:] - regions_N4[:, :2])
            feed["flip"] = list(flips_N.astype(np.int32))
        for name, values in feed.items():
            self._pipeline.feed_input(name, values)
        (images,) = self._pipeline.run()
        # DALI reuses its buffers at the next run, and the caller may hold the batch longer than that.
        return torch.from_dlpack(images.as_tensor()).to(self._device, copy=True)

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
            try:
                images_NHWC[i] = self._run([path], None if region is None else region[None], flips_N[i : i + 1])[0]
            except RuntimeError:
                self._pipeline = None
                images_NHWC[i] = torch.from_numpy(by_pillow.copy()).to(self._device)
        return DecodedBatch(images_NHWC, ok_N)
