"""What is learnt from, and what is left out."""

import math
from typing import Any

import pyarrow as pa
import pytest

from psol_ray.errors import UserError
from psol_ray.tables import BOXES, CATALOG
from psol_ray.training.samples import collect_samples

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
        pytest.param((math.inf, 0, 9, 9), "ok", id="infinite"),
        pytest.param((5, 5, 5, 9), "ok", id="without area"),
        pytest.param((21, 5, 29, 9), "ok", id="beyond the image"),
        pytest.param((-9, 5, -1, 9), "ok", id="before the image"),
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


def test_a_box_that_reaches_beyond_its_image_is_cut_off_there() -> None:
    samples = collect_samples(catalog(), boxes(IMAGES, [(-3, 2, 99, 50), *WHOLE[1:]], FINE))
    assert samples.boxes_N4 is not None
    assert samples.boxes_N4[0].tolist() == [0, 2, 10, 11]
    assert samples.num_left_out == 0


def test_every_box_counts_the_same_unless_told() -> None:
    assert collect_samples(catalog(), boxes(IMAGES, WHOLE, FINE)).weights_N.tolist() == [1, 1, 1]


def test_boxes_of_small_components_count_less() -> None:
    table = boxes(IMAGES, WHOLE, FINE, area_fraction=[0.1, 0.2, 0.9, 0.5])
    weights = collect_samples(catalog(), table, "area_fraction").weights_N
    assert weights == pytest.approx([0.6, 1.2, 1.2])  # 0.1 is half the median; a mean of 1


def test_images_without_a_component_have_no_weight() -> None:
    table = boxes(IMAGES, WHOLE, ["ok", "no_foreground", "no_foreground", "ok"], area_fraction=[0.3, 0.0, 0.0, 0.5])
    samples = collect_samples(catalog(), table, "area_fraction")
    assert samples.image_ids.tolist() == ["a.jpg"]
    assert samples.num_left_out == 2
    with pytest.raises(UserError, match="nothing to learn from"):
        collect_samples(catalog(), boxes(IMAGES, WHOLE, FINE, area_fraction=[0.0] * 4), "area_fraction")


def test_weights_need_their_column() -> None:
    with pytest.raises(UserError, match=r"area_fraction is missing.*set box_weights to none"):
        collect_samples(catalog(), boxes(IMAGES, WHOLE, FINE), "area_fraction")


@pytest.mark.parametrize(("column", "values"), [("width", [10, 224, 30, 40]), ("label", [0, 2, 1, 2])])
def test_refuses_boxes_of_a_catalog_that_has_changed(column: str, values: list[int]) -> None:
    known = catalog().column(column)[1]
    complaint = rf"b.jpg has a {column} of {values[1]} there and of {known} in the catalog; run `psol boxes`"
    with pytest.raises(UserError, match=complaint):
        collect_samples(catalog(), boxes(IMAGES, WHOLE, FINE, **{column: values}))


@pytest.mark.parametrize("label", [3, -1, None])
def test_refuses_a_label_outside_the_range(label: int | None) -> None:
    changed = catalog(label=[0, label, 1, 2])
    with pytest.raises(UserError, match=rf"b.jpg has the label {label}, and 3 classes have 0 to 2; make it anew"):
        collect_samples(changed, None)
