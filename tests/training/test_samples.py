"""What is learnt from, and what is left out."""

import math
from typing import Any

import pyarrow as pa
import pytest

from psol_ray.errors import UserError
from psol_ray.tables import BOXES, CATALOG
from psol_ray.training import collect_samples

IMAGES = ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]


def catalog(**changes: list[Any]) -> pa.Table:
    columns = {
        "image_id": IMAGES,
        "label": [0, 0, 1, 2],
        "class_name": ["x", "x", "y", "z"],
        "split": ["train", "train", "train", "test"],
        "width": [10, 20, 30, 40],
        "height": [11, 21, 31, 41],
        "gt_boxes": [[]] * 4,
        **changes,
    }
    return pa.table(columns, CATALOG)


def boxes(images: list[str], corners: list[tuple[float, ...]], status: list[str]) -> pa.Table:
    values = dict(zip(("x0", "y0", "x1", "y1"), zip(*corners, strict=True), strict=True))
    columns = {field.name: pa.nulls(len(images), field.type) for field in BOXES}
    return pa.table({**columns, **values, "image_id": images, "status": status}).cast(BOXES)


def test_boxes_find_their_images_in_any_order() -> None:
    table = boxes(["c.jpg", "d.jpg", "a.jpg", "b.jpg"], [(i, 0, 9, 9) for i in range(4)], ["ok"] * 4)
    samples = collect_samples(catalog(), table)
    assert samples.image_ids.tolist() == ["a.jpg", "b.jpg", "c.jpg"]
    assert samples.boxes_N4 is not None
    assert samples.boxes_N4[:, 0].tolist() == [2, 3, 0]
    assert samples.sizes_N2.tolist() == [[10, 11], [20, 21], [30, 31]]
    assert (samples.num_classes, samples.num_left_out, len(samples)) == (3, 0, 3)


@pytest.mark.parametrize(
    ("corners", "status"),
    [
        pytest.param((math.nan,) * 4, "unreadable", id="unreadable"),
        pytest.param((math.nan,) * 4, "ok", id="NaN"),
        pytest.param((5, 5, 5, 9), "ok", id="without area"),
    ],
)
def test_an_image_without_a_usable_box_is_left_out_and_counted(corners: tuple[float, ...], status: str) -> None:
    table = boxes(IMAGES, [(0, 0, 9, 9), corners, (0, 0, 9, 9), (0, 0, 9, 9)], ["ok", status, "no_foreground", "ok"])
    samples = collect_samples(catalog(), table)
    assert samples.image_ids.tolist() == ["a.jpg", "c.jpg"]
    assert samples.num_left_out == 1


def test_a_classifier_needs_no_boxes_but_readable_headers() -> None:
    samples = collect_samples(catalog(width=[10, 0, 30, 40]), None)
    assert samples.image_ids.tolist() == ["a.jpg", "c.jpg"]
    assert samples.labels_N.tolist() == [0, 1]
    assert samples.boxes_N4 is None


def test_refuses_boxes_of_another_catalog() -> None:
    table = boxes(["a.jpg", "other.jpg"], [(0, 0, 9, 9)] * 2, ["ok"] * 2)
    with pytest.raises(UserError, match=r"2 of 3 training images have no row, the first is b.jpg; run `psol boxes`"):
        collect_samples(catalog(), table)


def test_refuses_when_nothing_is_left() -> None:
    with pytest.raises(UserError, match="nothing to learn from: none of 3 training images"):
        collect_samples(catalog(width=[0, 0, 0, 5]), None)
