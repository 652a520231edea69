"""Class maps to boxes: a share of a map's range as the threshold, the largest component, its extent."""

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from psol_ray.errors import UserError
from psol_ray.geometry.boxes import scale
from psol_ray.heatmaps.boxes import heat_to_boxes
from psol_ray.images.batch import DecodedBatch
from psol_ray.images.batch_stream import BatchStream
from psol_ray.images.batches import has_size
from psol_ray.storage.addresses import Address
from psol_ray.tables.boxes_table import boxes_table, image_sizes
from psol_ray.tables.schemas import MAPS, NO_FOREGROUND, OK, TEST, UNREADABLE

__all__ = ["MapLocator", "min_max"]

Maps = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
OnBatch = Callable[[int], None]


class MapLocator:
    """Maps of images for their labels, and the boxes around what is high in them; of two jobs at once, if need be."""

    def __init__(self, maps: Maps, stream: BatchStream[DecodedBatch], *, input_size: int, threshold: float) -> None:
        """Args:
        maps: images and labels to maps, see `ActivationMaps`.
        stream: its decoders squash whole images to the network's input.
        input_size: side of that input in pixels, to which maps are upsampled.
        threshold: what is object, as a share of the way from a map's lowest value to its highest.
        """
        self._maps, self._stream = maps, stream
        self._input_size, self._threshold = input_size, threshold

    def locate(self, images: pa.Table, paths: Sequence[Address], on_batch: OnBatch) -> tuple[pa.Table, pa.Table]:
        """Rows of the boxes table, and rows of the maps table for those images that are of the test split.

        Args:
            images: catalog rows.
            paths: their files, in the same order.
            on_batch: called with the number of images done, after each batch.

        Raises:
            UserError: a map is not finite.
        """
        map_Nhw, ok_N = self._read(images, paths, on_batch)
        _check_not_finite(images, map_Nhw, ok_N)
        unit_Nhw = min_max(map_Nhw)
        return self._boxes(images, unit_Nhw, ok_N), _maps_of_test_images(images, unit_Nhw, ok_N)

    def _read(
        self, images: pa.Table, paths: Sequence[Address], on_batch: OnBatch
    ) -> tuple[torch.Tensor, NDArray[np.bool_]]:
        # One copy of all labels to a GPU and one of all maps from it: each waits for what the GPU was given before.
        labels_N = torch.from_numpy(images.column("label").to_numpy().astype(np.int64)).to(self._stream.device)

        def network(rows: slice, batch: DecodedBatch) -> tuple[torch.Tensor, NDArray[np.bool_]]:
            return self._maps(batch.images_NHWC, labels_N[rows]), batch.ok_N

        maps, oks = zip(*self._stream.map(paths, network, on_batch), strict=True)
        return torch.cat(maps).cpu(), np.concatenate(oks) & has_size(images)

    def _boxes(self, images: pa.Table, unit_Nhw: torch.Tensor, ok_N: NDArray[np.bool_]) -> pa.Table:
        boxes_N4, area_N = np.full((len(images), 4), np.nan), np.full(len(images), np.nan)
        status_N = np.full(len(images), UNREADABLE, dtype=object)
        heat_boxes = heat_to_boxes(unit_Nhw[torch.from_numpy(ok_N)] - self._threshold, self._input_size, "bilinear")
        boxes_N4[ok_N], area_N[ok_N] = heat_boxes.boxes_N4, heat_boxes.area_fraction_N
        status_N[ok_N] = np.where(heat_boxes.found_N, OK, NO_FOREGROUND)
        width_N, height_N = image_sizes(images).T
        return boxes_table(images, scale(boxes_N4, width_N, height_N), status_N, area_fraction=area_N)


def min_max(map_Nhw: torch.Tensor) -> torch.Tensor:
    """Each map stretched to [0, 1]; one that is the same everywhere becomes 0."""
    low_N11, high_N11 = map_Nhw.amin((1, 2), keepdim=True), map_Nhw.amax((1, 2), keepdim=True)
    span_N11 = high_N11 - low_N11
    return (map_Nhw - low_N11) / torch.where(span_N11 > 0, span_N11, 1)


def _check_not_finite(images: pa.Table, map_Nhw: torch.Tensor, ok_N: NDArray[np.bool_]) -> None:
    bad_N = ok_N & ~map_Nhw.isfinite().all(dim=2).all(dim=1).numpy()
    if bad_N.any():
        image_id = images.column("image_id")[int(bad_N.argmax())].as_py()
        raise UserError(f"{image_id}: found a class map that is not finite; the classifier is broken, train it again")


def _maps_of_test_images(images: pa.Table, unit_Nhw: torch.Tensor, ok_N: NDArray[np.bool_]) -> pa.Table:
    is_test_N = images.column("split").to_numpy(zero_copy_only=False) == TEST
    ok_T = ok_N[is_test_N]
    values_Thw = unit_Nhw[torch.from_numpy(is_test_N & ok_N)].numpy().astype(np.float16)
    _, height, width = unit_Nhw.shape
    ends_T = np.cumsum(ok_T) * height * width
    columns = {
        "image_id": images.column("image_id").filter(pa.array(is_test_N)),
        "height": (ok_T * height).astype(np.int16),
        "width": (ok_T * width).astype(np.int16),
        "values": pa.ListArray.from_arrays(np.concatenate([[0], ends_T]).astype(np.int32), values_Thw.reshape(-1)),
    }
    return pa.table(columns).cast(MAPS)
