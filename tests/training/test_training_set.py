"""What is learnt from, and what is left out."""

import math
from typing import Any

import pyarrow as pa
import pytest

from psol_ray.errors import UserError
from psol_ray.tables import BOXES, CATALOG
from psol_ray.training.training_set import collect_training_set

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


SIZES = {"a.jpg": (10, 11), "b.jpg": (20, 21), "c.jpg": (30, 31), "d.jpg": (40, 41)}


LABELS = {"a.jpg": 0, "b.jpg": 0, "c.jpg": 1, "d.jpg": 2}


def boxes(images: list[str], corners: list[tuple[float, ...]], status: list[str], **changes: list[Any]) -> pa.Table:
    columns = {field.name: pa.nulls(len(images), field.type) for field in BOXES}
    columns |= dict(zip(("x0", "y0", "x1", "y1"), zip(*corners, strict=True), strict=True))
    columns |= {name: [SIZES.get(image, (9, 9))[i] for image in images] for i, name in enumerate(("width", "height"))}
    columns |= {"image_id": images, "status": status, "label": [LABELS.get(image, 0) for image in images]}
    return pa.table({**columns, **changes}).cast(BOXES)


WHOLE = [(0, 0, 9, 9)] * 4
FINE = ["ok"] * 4


def test_boxes_find_their_images_in_any_order() -> None:
    table = boxes(["c.jpg", "d.jpg", "a.jpg", "b.jpg"], [(i, 0, 9, 9) for i in range(4)], ["ok"] * 4)
    training_set = collect_training_set(catalog(), table)
    assert training_set.images.column("image_id").to_pylist() == ["a.jpg", "b.jpg", "c.jpg"]
    assert training_set.boxes_N4 is not None
    assert training_set.boxes_N4[:, 0].tolist() == [2, 3, 0]
    assert training_set.sizes_N2.tolist() == [[10, 11], [20, 21], [30, 31]]
    assert (training_set.num_classes, training_set.num_left_out, len(training_set)) == (3, 0, 3)


@pytest.mark.parametrize(
    ("corners", "status"),
    [
        pytest.param((math.nan,) * 4, "unreadable", id="unreadable"),
        pytest.param((math.nan,) * 4, "ok", id="NaN"),
        pytest.param((math.inf, 0, 9, 9), "ok", id="infinite"),
        pytest.param((5, 5, 5, 9), "ok", id="without area"),
        pytest.param((21, 5, 29, 9), "ok", id="beyond the image"),
        pytest.param((-9, 5, -1, 9), "ok", id="before the image"),
    ],
)
def test_an_image_without_a_usable_box_is_left_out_and_counted(corners: tuple[float, ...], status: str) -> None:
    table = boxes(IMAGES, [(0, 0, 9, 9), corners, (0, 0, 9, 9), (0, 0, 9, 9)], ["ok", status, "no_foreground", "ok"])
    training_set = collect_training_set(catalog(), table)
    assert training_set.images.column("image_id").to_pylist() == ["a.jpg", "c.jpg"]
    assert training_set.num_left_out == 1


def test_a_classifier_needs_no_boxes_but_readable_headers() -> None:
    training_set = collect_training_set(catalog(width=[10, 0, 30, 40]), None)
    assert training_set.images.column("image_id").to_pylist() == ["a.jpg", "c.jpg"]
    assert training_set.labels_N.tolist() == [0, 1]
    assert training_set.boxes_N4 is None


def test_refuses_boxes_of_another_catalog() -> None:
    table = boxes(["a.jpg", "other.jpg"], [(0, 0, 9, 9)] * 2, ["ok"] * 2)
    with pytest.raises(UserError, match=r"2 of 3 training images have no row, the first is b.jpg; run `psol boxes`"):
        collect_training_set(catalog(), table)


def test_refuses_when_nothing_is_left() -> None:
    with pytest.raises(UserError, match="nothing to learn from: none of 3 training images"):
        collect_training_set(catalog(width=[0, 0, 0, 5]), None)


def test_a_box_that_reaches_beyond_its_image_is_cut_off_there() -> None:
    training_set = collect_training_set(catalog(), boxes(IMAGES, [(-3, 2, 99, 50), *WHOLE[1:]], FINE))
    assert training_set.boxes_N4 is not None
    assert training_set.boxes_N4[0].tolist() == [0, 2, 10, 11]
    assert training_set.num_left_out == 0


@pytest.mark.parametrize(("column", "values"), [("width", [10, 224, 30, 40]), ("label", [0, 2, 1, 2])])
def test_refuses_boxes_of_a_catalog_that_has_changed(column: str, values: list[int]) -> None:
    known = catalog().column(column)[1]
    complaint = rf"b.jpg has a {column} of {values[1]} there and of {known} in the catalog; run `psol boxes`"
    with pytest.raises(UserError, match=complaint):
        collect_training_set(catalog(), boxes(IMAGES, WHOLE, FINE, **{column: values}))


@pytest.mark.parametrize("label", [3, -1, None])
def test_refuses_a_label_outside_the_range(label: int | None) -> None:
    changed = catalog(label=[0, label, 1, 2])
    with pytest.raises(UserError, match=rf"b.jpg has the label {label}, and 3 classes have 0 to 2; make it anew"):
        collect_training_set(changed, None)
