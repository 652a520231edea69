"""One DALI pipeline: encoded images in, squashed uint8 images out, on a CPU or a GPU.

On a CPU the pixels are Pillow's within one grey level, but for the outermost row or column of a much reduced image:
at the border DALI's filter repeats the last pixel and Pillow's is cut short.
"""

import importlib
import importlib.util
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from psol_ray.images.cuda import SideStream

__all__ = ["DaliPipeline", "dali_available"]


def dali_available() -> bool:
    """Whether DALI is installed (its wheels exist for Linux only)."""
    return importlib.util.find_spec("nvidia") is not None and importlib.util.find_spec("nvidia.dali") is not None


def _build_pipeline(
    size: int, batch_size: int, regions: bool, num_threads: int, gpu: int | None, hw_share: float
) -> Any:
    # DALI makes its operators and constants at import; its stubs know few of them.
    dali: Any = importlib.import_module("nvidia.dali")
    fn, types = dali.fn, dali.types
    decoded = {
        "device": "cpu" if gpu is None else "mixed",
        "output_type": types.RGB,
        "adjust_orientation": False,
        # On a CPU chroma is interpolated anyway.
        **({} if gpu is None else {"hw_decoder_load": hw_share, "jpeg_fancy_upsampling": True}),
    }

    @dali.pipeline_def
    def pipeline() -> Any:
        # A copy would hold Python's lock for 5 ms a batch.
        encoded = fn.external_source(name="encoded", dtype=types.UINT8, ndim=1, no_copy=True)
        if regions:
            start = fn.external_source(name="start", dtype=types.INT32, ndim=1)
            shape = fn.external_source(name="shape", dtype=types.INT32, ndim=1)
            region = {"start": start, "shape": shape, "axes": (1, 0)}
        if regions and gpu is None:
            images = fn.decoders.image_slice(encoded, **region, **decoded)
        else:
            images = fn.decoders.image(encoded, **decoded)
            if regions:
                # nvJPEG decodes no region with interpolated chroma, and DALI would have a CPU do it.
                images = fn.slice(images, **region)
        # antialias=True is what makes DALI's linear filter Pillow's.
        images = fn.resize(images, size=[size, size], interp_type=types.INTERP_LINEAR, antialias=True)
        if regions:
            images = fn.flip(images, horizontal=fn.external_source(name="flip", dtype=types.INT32, ndim=0))
        return images

    built = pipeline(batch_size=batch_size, num_threads=num_threads, device_id=gpu, prefetch_queue_depth=1)
    built.build()
    return built


class DaliPipeline:
    """Lives as long as its decoder, but for images that it fails on: these destroy it, and it is built anew."""

    def __init__(
        self, size: int, batch_size: int, regions: bool, num_threads: int, gpu: int | None, hw_share: float
    ) -> None:
        """For the arguments see `make_decoder`."""
        self._settings = (size, batch_size, regions, num_threads, gpu, hw_share)
        self.stream = SideStream(torch.device("cpu" if gpu is None else f"cuda:{gpu}"))
        self._is_cuda = gpu is not None
        self._built: Any = None
        # DALI reads these where they lie.
        self._encoded: list[NDArray[np.uint8]] = []

    def decode(
        self, encoded: Sequence[bytes], regions_N4: NDArray[np.int32] | None, flips_N: NDArray[np.bool_]
    ) -> torch.Tensor | None:
        """All of these images, or None where it fails on one of them; which one is not always known.

        A region must lie in its image: on a CPU, DALI ends the process otherwise.
        """
        if self._built is None:
            # Not below `try`: a DALI that cannot start at all must not pass for a million bad files.
            self._built = _build_pipeline(*self._settings)
            if self._is_cuda:
                self._begin_with_full_batch()
        try:
            return self._run(encoded, regions_N4, flips_N)
        except RuntimeError:
            self._built = None
            return None

    def _begin_with_full_batch(self) -> None:
        """Else the first batch, if it is smaller, says for good how many images of any go to the decoding engine.

        nvImageCodec decodes the others elsewhere, to pixels that differ in some levels.
        """
        size, batch_size, regions = self._settings[:3]
        whole_N4 = np.tile(np.array([0, 0, size, size], np.int32), (batch_size, 1)) if regions else None
        self._run([_grey_jpeg(size)] * batch_size, whole_N4, np.zeros(batch_size, bool))

    def _run(
        self, encoded: Sequence[bytes], regions_N4: NDArray[np.int32] | None, flips_N: NDArray[np.bool_]
    ) -> torch.Tensor:
        self._encoded = [np.frombuffer(each, np.uint8) for each in encoded]
        feed: dict[str, Any] = {"encoded": self._encoded}
        if regions_N4 is not None:
            # Whole arrays: of a list DALI takes each item by itself, which holds Python's lock for 10 us an image.
            feed["start"] = np.ascontiguousarray(regions_N4[:, :2])
            feed["shape"] = regions_N4[:, 2:] - regions_N4[:, :2]
            feed["flip"] = flips_N.astype(np.int32)
        for name, values in feed.items():
            self._built.feed_input(name, values)
        (images,) = self._built.run()
        # Out of DALI's buffers, which its next run reuses while the caller still holds this batch.
        if not self._is_cuda:
            # By NumPy: PyTorch's threads may all be in the network, and each of its copies would wait for them.
            return torch.from_numpy(np.from_dlpack(images.as_tensor()).copy())
        return self.stream.handed_over(lambda: torch.from_dlpack(images.as_tensor()).clone())


def _grey_jpeg(size: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (size, size), "grey").save(file, "JPEG")
    return file.getvalue()
