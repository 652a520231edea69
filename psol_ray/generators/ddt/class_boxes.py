"""All of DDT for one class: moments over its training images, a component, a box for every image."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import torch

from psol_ray.errors import UserError
from psol_ray.generators.ddt.heat_table import heat_table
from psol_ray.generators.ddt.moments import Component
from psol_ray.generators.ddt.passes import ClassMoments, Heat, Read, measure, project, project_kept
from psol_ray.generators.ddt.sign import choose_sign
from psol_ray.geometry.boxes import scale
from psol_ray.heatmaps.boxes import Upsample, heat_to_boxes
from psol_ray.tables.boxes_table import boxes_table, image_sizes
from psol_ray.tables.schemas import NO_FOREGROUND, OK, TRAIN, UNREADABLE
from psol_ray.work.jobs import Parts

__all__ = ["component_of", "draw_boxes", "locate_class"]


def locate_class(
    images: pa.Table, read: Read, *, input_size: int, upsample: Upsample, max_bytes: float = float("inf")
) -> Parts:
    """One row of the boxes table, and one of the heat's, for each image of a class (Sec. 3.2.1).

    The component comes from the class's training images alone; its other images are only projected. A class without
    a readable training image uses what it has.

    Args:
        images: the class's catalog rows.
        read: reads their features.
        input_size: side of the network's input in pixels.
        upsample: see `heat_to_boxes`.
        max_bytes: a class whose features take more is read twice.

    Raises:
        UserError: a feature of a training image is not finite.
    """
    moments, kept = measure(images, read, max_bytes)
    component = component_of(images, moments)
    if component is None:
        return draw_boxes(images, [], None, input_size=input_size, upsample=upsample)
    heat = project(images, read, component) if kept is None else project_kept(kept, component)
    del kept  # the boxes take time, in which another class can have the memory
    return draw_boxes(images, [heat], component, input_size=input_size, upsample=upsample)


def component_of(images: pa.Table, moments: ClassMoments) -> Component | None:
    """A class's component, not oriented yet; None where none of its images could be read.

    Raises:
        UserError: a feature is not finite.
    """
    try:
        return moments.component()
    except ValueError as error:
        raise UserError(f"class {images.column('class_name')[0].as_py()!r}: {error}") from None


def draw_boxes(
    images: pa.Table, heats: Sequence[Heat], component: Component | None, *, input_size: int, upsample: Upsample
) -> Parts:
    """Choose the component's sign, and turn heat to boxes; returns both.

    Args:
        images: the class's catalog rows.
        heats: of all its images in order, in one piece or several; none where there is no component.
        component: on which they were projected.
        input_size: side of the network's input in pixels.
        upsample: see `heat_to_boxes`.
    """
    boxes_N4 = np.full((len(images), 4), np.nan)
    status_N = np.full(len(images), UNREADABLE, dtype=object)
    quality = {name: np.full(len(images), np.nan) for name in ("area_fraction", "mean_heat")}
    of_class = (np.nan, np.nan)
    ok_N, oriented = np.zeros(len(images), bool), np.zeros((0, 0, 0), np.float32)
    if component is not None:
        ok_N = np.concatenate([heat.ok_N for heat in heats])
        heat_Nhw = np.concatenate([heat.heat_Nhw for heat in heats])[ok_N]
        is_train_N = images.column("split").to_numpy(zero_copy_only=False)[ok_N] == TRAIN
        used = heat_Nhw[is_train_N if is_train_N.any() else ~is_train_N]
        sign = choose_sign(used)
        of_class = (component.explained_variance_ratio, sign.margin)
        oriented = np.float32(sign.factor) * heat_Nhw
        heat_boxes = heat_to_boxes(torch.from_numpy(oriented), input_size, upsample)
        boxes_N4[ok_N] = heat_boxes.boxes_N4
        status_N[ok_N] = np.where(heat_boxes.found_N, OK, NO_FOREGROUND)
        quality["area_fraction"][ok_N], quality["mean_heat"][ok_N] = heat_boxes.area_fraction_N, heat_boxes.mean_heat_N
    width_N, height_N = image_sizes(images).T
    table = boxes_table(
        images,
        scale(boxes_N4, width_N, height_N),
        status_N,
        **quality,
        explained_variance_ratio=of_class[0],
        sign_margin=of_class[1],
    )
    return Parts(boxes=table, heat=heat_table(images, oriented, ok_N))
