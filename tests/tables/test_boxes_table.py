"""The boxes table is built in one place, from a catalog's rows, boxes and what was measured of them."""

import numpy as np
import pyarrow as pa
import pytest

from psol_ray.geometry.boxes import area
from psol_ray.tables.boxes_table import area_fractions, boxes_table, image_sizes
from psol_ray.tables.schemas import BOXES, CATALOG, NO_FOREGROUND, OK, UNREADABLE, boxes_array

NAN = float("nan")
MEASURED = ("area_fraction", "mean_heat", "explained_variance_ratio", "sign_margin")


def images_of(*sizes: tuple[int, int]) -> pa.Table:
    rows = [
        {"image_id": f"{i}.jpg", "label": i, "width": width, "height": height, "gt_boxes": []}
        for i, (width, height) in enumerate(sizes)
    ]
    return pa.Table.from_pylist(rows, schema=CATALOG)


IMAGES = images_of((40, 20), (10, 30), (0, 0))
BOXES_34 = np.array([[4, 2, 24, 12], [0, 0, 10, 30], [NAN] * 4])
STATUS_3 = np.array([OK, NO_FOREGROUND, UNREADABLE])


def test_what_was_not_measured_is_nan() -> None:
    table = boxes_table(IMAGES, BOXES_34, STATUS_3)
    assert table.schema.equals(BOXES)
    assert table["image_id"].to_pylist() == ["0.jpg", "1.jpg", "2.jpg"]
    assert table["label"].to_pylist() == [0, 1, 2]
    assert (table["width"].to_pylist(), table["height"].to_pylist()) == ([40, 10, 0], [20, 30, 0])
    assert table["status"].to_pylist() == ["ok", "no_foreground", "unreadable"]
    np.testing.assert_array_equal(boxes_array(table), BOXES_34)
    for name in MEASURED:
        assert np.isnan(table[name].to_numpy()).all()


@pytest.mark.parametrize("name", MEASURED)
def test_what_was_measured_is_kept_of_each_image_or_of_all(name: str) -> None:
    by_image = boxes_table(IMAGES, BOXES_34, STATUS_3, **{name: np.array([0.25, 1, NAN])})
    np.testing.assert_array_equal(by_image[name].to_numpy(), np.array([0.25, 1, NAN], np.float32))
    of_all = boxes_table(IMAGES, BOXES_34, STATUS_3, **{name: 0.1})
    assert of_all[name].to_pylist() == [np.float32(0.1)] * 3
    for table in (by_image, of_all):
        assert table.schema.equals(BOXES)
        assert all(np.isnan(table[other].to_numpy()).all() for other in MEASURED if other != name)


def test_a_column_that_does_not_fit_the_images_is_an_error() -> None:
    with pytest.raises(ValueError, match="broadcast"):
        boxes_table(IMAGES, BOXES_34, STATUS_3, mean_heat=np.zeros(2))


def test_statuses_may_be_objects_and_images_none() -> None:
    assert boxes_table(IMAGES, BOXES_34, STATUS_3.astype(object))["status"].to_pylist() == STATUS_3.tolist()
    empty = boxes_table(IMAGES.slice(0, 0), BOXES_34[:0], STATUS_3[:0])
    assert (len(empty), empty.schema) == (0, BOXES)


def test_sizes_are_width_and_height_in_whole_pixels() -> None:
    sizes_N2 = image_sizes(pa.concat_tables([IMAGES.slice(0, 1), IMAGES.slice(1)]))
    assert (sizes_N2.dtype, sizes_N2.tolist()) == (np.int64, [[40, 20], [10, 30], [0, 0]])
    assert image_sizes(IMAGES.slice(0, 0)).shape == (0, 2)


@pytest.mark.parametrize(
    ("box", "size", "share"),
    [
        pytest.param([4, 2, 24, 12], (40, 20), 0.25, id="a quarter"),
        pytest.param([0, 0, 40, 20], (40, 20), 1, id="the whole image"),
        pytest.param([7, 7, 7, 9], (40, 20), 0, id="without area"),
        pytest.param([9, 9, 7, 3], (40, 20), 0, id="inside out"),
        pytest.param([NAN] * 4, (40, 20), NAN, id="NaN"),
        pytest.param([NAN] * 4, (0, 0), NAN, id="unreadable"),
        pytest.param([0, 0, 100_000, 100_000], (200_000, 100_000), 0.5, id="more pixels than an int32"),
    ],
)
def test_area_fractions(box: list[float], size: tuple[int, int], share: float) -> None:
    assert area_fractions(np.array([box], np.float32), image_sizes(images_of(size))).tolist() == [
        pytest.approx(share, nan_ok=True)
    ]


def test_the_area_is_that_of_geometry() -> None:
    boxes_N4 = np.random.default_rng(0).uniform(0, 50, (200, 4))
    sizes_N2 = np.full((200, 2), [80, 60])
    np.testing.assert_array_equal(area_fractions(boxes_N4, sizes_N2), area(boxes_N4) / 4800)
