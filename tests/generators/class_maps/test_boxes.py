"""Rows of the boxes and maps tables from maps that are drawn by hand."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
import torch
from synthetic.tables import catalog_of, image

from psol_ray.errors import UserError
from psol_ray.generators.class_maps.boxes import MapLocator, min_max
from psol_ray.images.batch import DecodedBatch
from psol_ray.images.batch_stream import BatchStream
from psol_ray.tables import BOXES, CATALOG, MAPS
from psol_ray.tables.schemas import boxes_array

SIDE = 40
# A hill of two columns and two rows, one of which is half as high, above a floor of -10.
HILL = np.array([[-10, -10, -10, -10], [-10, 10, 10, -10], [-10, 0, 0, -10], [-10, -10, -10, -10]], np.float32)
FLAT = np.full((4, 4), 7, np.float32)
DRAWN = {"hill": HILL, "low hill": HILL * 1e-3 + 5, "flat": FLAT, "hole": np.where(HILL < 0, np.nan, HILL)}


class Decoder:
    """An image holds the number of its name among the drawn maps; any other name cannot be read."""

    def decode(self, paths: Sequence[str], *_: object) -> DecodedBatch:
        numbers = [list(DRAWN).index(path) if path in DRAWN else 0 for path in paths]
        images_NHWC = torch.tensor(numbers, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 2, 2, 3)
        return DecodedBatch(images_NHWC, np.array([path in DRAWN for path in paths]))


def drawn(images_NHWC: torch.Tensor, labels_N: torch.Tensor) -> torch.Tensor:
    """The map of the image's number, turned upside down for label 1."""
    maps = [torch.from_numpy(list(DRAWN.values())[number]) for number in images_NHWC[:, 0, 0, 0].tolist()]
    return torch.stack([m.flipud() if label else m for m, label in zip(maps, labels_N.tolist(), strict=True)])


def images_of(count: int, **columns: list[object]) -> pa.Table:
    table = catalog_of(*(image(str(i), width=80, height=160) for i in range(count)))
    for name, values in columns.items():
        index = CATALOG.get_field_index(name)
        table = table.set_column(index, CATALOG.field(index), pa.array(values, CATALOG.field(index).type))
    return table


def locate(
    paths: list[str], threshold: float = 0.2, images: pa.Table | None = None, batch_size: int = 2
) -> tuple[pa.Table, pa.Table, list[int]]:
    done: list[int] = []
    stream = BatchStream([Decoder().decode], batch_size, torch.device("cpu"))
    locator = MapLocator(drawn, stream, input_size=SIDE, threshold=threshold)
    boxes, maps = locator.locate(images_of(len(paths)) if images is None else images, paths, done.append)
    return boxes, maps, done


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        # Upsampled to 40 pixels, the map is exact at 5, 15, 25 and 35 and straight between them; a pixel is looked at
        # in its middle. Seen along a row through the hill, it rises from 5 to 15 and falls from 25 to 35; along a
        # column it falls to a half at 25 and to nothing at 35.
        pytest.param(0.0, (5, 5, 35, 35), id="all that is above the floor"),
        pytest.param(0.46, (10, 10, 30, 26), id="half the hill"),
        pytest.param(0.96, (15, 15, 25, 16), id="the top alone"),
    ],
)
def test_threshold_is_a_share_of_the_way_from_lowest_to_highest(threshold: float, expected: tuple[float, ...]) -> None:
    boxes, _, _ = locate(["hill", "low hill"], threshold)
    assert boxes.schema == BOXES
    assert boxes.column("status").to_pylist() == ["ok", "ok"]
    # The image is 80 x 160: twice and four times the map's 40.
    np.testing.assert_allclose(boxes_array(boxes), [np.multiply(expected, [2, 4, 2, 4])] * 2, rtol=1e-6)
    area_fraction = boxes.column("area_fraction").to_pylist()
    x0, y0, x1, y1 = expected
    assert 0.5 < area_fraction[0] / ((x1 - x0) * (y1 - y0) / SIDE**2) < 1.001
    for name in ("mean_heat", "explained_variance_ratio", "sign_margin"):
        assert np.isnan(boxes.column(name).to_numpy()).all()
        assert boxes.column(name).null_count == 0


@pytest.mark.parametrize(("path", "threshold"), [("flat", 0.0), ("flat", 0.2), ("hill", 1.0)])
def test_without_foreground_the_box_is_the_whole_image(path: str, threshold: float) -> None:
    boxes, maps, _ = locate([path], threshold)
    assert boxes.column("status").to_pylist() == ["no_foreground"]
    assert boxes_array(boxes).tolist() == [[0, 0, 80, 160]]
    if path == "flat":
        assert maps.column("values").to_pylist() == [[0] * 16]


def test_an_unreadable_image_costs_itself() -> None:
    images = images_of(4, width=[80, 80, 0, 80], height=[160, 160, 0, 160])
    boxes, maps, done = locate(["hill", "bad", "hill", "hill"], images=images, batch_size=3)
    assert boxes.column("status").to_pylist() == ["ok", "unreadable", "unreadable", "ok"]
    boxes_N4 = boxes_array(boxes)
    assert np.isnan(boxes_N4).all(axis=1).tolist() == [False, True, True, False]
    assert boxes_N4[0].tolist() == boxes_N4[3].tolist()
    assert np.isnan(boxes.column("area_fraction").to_numpy()).tolist() == [False, True, True, False]
    assert [len(values) for values in maps.column("values").to_pylist()] == [16, 0, 0, 16]
    assert maps.column("height").to_pylist() == [4, 0, 0, 4]
    assert done == [3, 4]


def test_no_image_of_a_class_can_be_read() -> None:
    boxes, maps, _ = locate(["bad", "bad"])
    assert boxes.column("status").to_pylist() == ["unreadable"] * 2
    assert maps.column("values").to_pylist() == [[], []]


def test_maps_are_those_of_test_images_stretched_from_0_to_1() -> None:
    images = images_of(4, split=["train", "train", "test", "test"], label=[0, 0, 1, 0])
    boxes, maps, _ = locate(["hill", "bad", "hill", "low hill"], images=images)
    assert len(boxes) == 4
    assert maps.schema == MAPS
    assert maps.column("image_id").to_pylist() == ["2", "3"]
    upside_down, upright = (np.reshape(values, (4, 4)) for values in maps.column("values").to_pylist())
    expected = (HILL + 10) / 20
    assert upside_down.tolist() == expected[::-1].tolist()
    # Its floor is far above the hill's height: single precision has three digits left of it.
    np.testing.assert_allclose(upright, expected, atol=1e-3)
    assert (upright.min(), upright.max()) == (0, 1)
    assert maps.column("width").to_pylist() == [4, 4]


def test_training_images_leave_no_maps() -> None:
    _, maps, _ = locate(["hill"], images=images_of(1, split=["train"]))
    assert maps.schema == MAPS
    assert len(maps) == 0


def test_the_map_is_of_the_image_s_label() -> None:
    boxes, _, _ = locate(["hill", "hill", "hill"], images=images_of(3, label=[0, 1, 0]))
    first, second, third = boxes_array(boxes).tolist()
    assert first == third
    assert second == [first[0], 160 - first[3], first[2], 160 - first[1]]


def test_a_map_that_is_not_finite_names_its_image() -> None:
    with pytest.raises(UserError, match=r"^1: found a class map that is not finite"):
        locate(["hill", "hole"])


def test_stretching_reaches_both_ends_exactly() -> None:
    map_Nhw = torch.rand(50, 3, 3, generator=torch.Generator().manual_seed(0)) * 1e-3 + 0.1
    unit_Nhw = min_max(map_Nhw)
    assert unit_Nhw.amin((1, 2)).unique().tolist() == [0]
    assert unit_Nhw.amax((1, 2)).unique().tolist() == [1]
