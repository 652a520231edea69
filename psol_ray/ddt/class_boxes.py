"""All of DDT for one class: one forward pass, moments over its training images, a box for every image.

Shape suffixes: N images, h w cells of the feature map, C channels, R = cells of several images.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from psol_ray.ddt.heat import Upsample, heat_to_boxes
from psol_ray.ddt.moments import Component, Moments
from psol_ray.errors import UserError
from psol_ray.geometry.boxes import scale
from psol_ray.images import DecodedBatch
from psol_ray.tables.schemas import BOXES, NO_FOREGROUND, OK, UNREADABLE, box_columns

__all__ = ["locate_class"]

# Images projected or upsampled at once: bounds memory to some hundred megabytes at 448 x 448.
_CHUNK = 64


@dataclass(frozen=True)
class _ClassFeatures:
    """Features of the images that could be read, and which of the class's rows those are."""

    map_Nhwc: torch.Tensor
    readable_rows: NDArray[np.intp]


def locate_class(
    images: pa.Table,
    batches: Iterable[DecodedBatch],
    extract: Callable[[torch.Tensor], torch.Tensor],
    *,
    input_size: int,
    upsample: Upsample,
) -> pa.Table:
    """One row of the boxes table for each image of a class (Sec. 3.2.1).

    The component comes from the class's training images alone; its other images are only projected. A class without
    a readable training image uses what it has.

    Args:
        images: the class's catalog rows.
        batches: their pixels, in the same order.
        extract: uint8 `(N, H, W, 3)` to features `(N, h, w, C)`.
        input_size: side of the network's input in pixels.
        upsample: see `heat_to_boxes`.

    Raises:
        UserError: a feature of a training image is not finite.
    """
    # A picture too large for Pillow has no size in the catalog, and DALI may still read it: its box would mean nothing.
    sized_N = images.column("width").to_numpy() > 0
    features = _collect(batches, sized_N, extract)
    boxes_N4 = np.full((len(images), 4), np.nan)
    status_N = np.full(len(images), UNREADABLE, dtype=object)
    quality = {name: np.full(len(images), np.nan) for name in ("area_fraction", "mean_heat")}
    component = None
    if features is not None:
        rows = features.readable_rows
        is_train_N = images.column("split").to_numpy(zero_copy_only=False)[rows] == "train"
        try:
            component = _first_component(features.map_Nhwc, is_train_N if is_train_N.any() else ~is_train_N)
        except ValueError as error:
            raise UserError(f"class {images.column('class_name')[0].as_py()!r}: {error}") from None
        found = [heat_to_boxes(component.project(c), input_size, upsample) for c in _chunks(features.map_Nhwc)]
        boxes_N4[rows] = np.concatenate([part.boxes_N4 for part in found])
        status_N[rows] = np.where(np.concatenate([part.found_N for part in found]), OK, NO_FOREGROUND)
        for name in quality:
            quality[name][rows] = np.concatenate([getattr(part, f"{name}_N") for part in found])
    return _to_table(images, boxes_N4, status_N, quality, component)


def _collect(
    batches: Iterable[DecodedBatch], sized_N: NDArray[np.bool_], extract: Callable[[torch.Tensor], torch.Tensor]
) -> _ClassFeatures | None:
    maps, rows, start = [], [], 0
    for batch in batches:
        ok_N = batch.ok_N & sized_N[start : start + len(batch.ok_N)]
        rows.append(start + np.flatnonzero(ok_N))
        start += len(ok_N)
        if ok_N.all():
            maps.append(extract(batch.images_NHWC))
        elif ok_N.any():
            maps.append(extract(batch.images_NHWC[torch.from_numpy(ok_N).to(batch.images_NHWC.device)]))
    return _ClassFeatures(torch.cat(maps), np.concatenate(rows)) if maps else None


def _first_component(map_Nhwc: torch.Tensor, used_N: NDArray[np.bool_]) -> Component:
    used = map_Nhwc if used_N.all() else map_Nhwc[torch.from_numpy(used_N).to(map_Nhwc.device)]
    moments = Moments(used.shape[-1])
    for chunk in _chunks(used):
        moments.update(chunk.reshape(-1, chunk.shape[-1]))
    component = moments.component()
    extremes = [component.project(chunk).aminmax() for chunk in _chunks(used)]
    return component.oriented(min(e.min.item() for e in extremes), max(e.max.item() for e in extremes))


def _chunks(map_Nhwc: torch.Tensor) -> Iterator[torch.Tensor]:
    return iter(map_Nhwc.split(_CHUNK))


def _to_table(
    images: pa.Table,
    boxes_N4: NDArray[np.float64],
    status_N: NDArray[np.object_],
    quality: dict[str, NDArray[np.float64]],
    component: Component | None,
) -> pa.Table:
    width_N, height_N = (images.column(name).to_numpy() for name in ("width", "height"))
    of_class = (np.nan, np.nan) if component is None else (component.explained_variance_ratio, component.margin)
    columns = {
        **{name: images.column(name) for name in ("image_id", "label", "width", "height")},
        **box_columns(scale(boxes_N4, width_N, height_N)),
        "status": pa.array(status_N, pa.string()),
        **{name: values.astype(np.float32) for name, values in quality.items()},
        "explained_variance_ratio": np.full(len(images), of_class[0], np.float32),
        "sign_margin": np.full(len(images), of_class[1], np.float32),
    }
    return pa.table(columns).cast(BOXES)
