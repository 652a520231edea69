"""All of DDT for one class, with features that are drawn by hand instead of computed.

An image is a 32 x 32 square whose left half of channel 0 is its object; features are its 4 x 4 cells' mean colours.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pytest
import torch
from synthetic.tables import class_images

from psol_ray.errors import UserError
from psol_ray.generators.ddt.class_boxes import locate_class
from psol_ray.generators.ddt.passes import Accept, Read
from psol_ray.heatmaps.boxes import Upsample
from psol_ray.tables import BOXES
from psol_ray.tables.schemas import boxes_array

SIZE = 32
Extract = Callable[[torch.Tensor], torch.Tensor]
OBJECTS = [(0, 0, 2, 2), (1, 1, 3, 3), (2, 0, 4, 2), (1, 2, 2, 4)]  # in cells


def picture(box: Sequence[int], seed: int = 0, channel: int = 0) -> torch.Tensor:
    """A bright box in one channel on a dim, slightly uneven ground."""
    image = torch.from_numpy(np.random.default_rng(seed).integers(0, 9, (4, 4, 3), np.uint8))
    x0, y0, x1, y1 = box
    image[y0:y1, x0:x1, channel] = 240
    return image.repeat_interleave(8, 0).repeat_interleave(8, 1)


def extract(images_NHWC: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.avg_pool2d(images_NHWC.permute(0, 3, 1, 2).float(), 8).permute(0, 2, 3, 1)


def catalog(splits: Sequence[str]) -> pa.Table:
    return class_images(splits, label=7, class_name="seven", size=(400, 200))


def reader(
    pictures: Sequence[torch.Tensor], bad: Sequence[int] = (), step: int = 3, extract: Extract = extract
) -> Read:
    """Reads them in batches of `step`."""

    def read(accept: Accept) -> None:
        for start in range(0, len(pictures), step):
            rows = range(start, min(start + step, len(pictures)))
            ok_N = np.array([row not in bad for row in rows])
            accept(start, extract(torch.stack([pictures[row] * bool(row not in bad) for row in rows])), ok_N)

    return read


def locate(
    pictures: Sequence[torch.Tensor],
    splits: Sequence[str],
    bad: Sequence[int] = (),
    step: int = 3,
    max_bytes: float = np.inf,
    upsample: Upsample = "nearest",
) -> pa.Table:
    read = reader(pictures, bad, step)
    return locate_class(catalog(splits), read, input_size=SIZE, upsample=upsample, max_bytes=max_bytes)["boxes"]


def pixels(box: Sequence[int]) -> list[float]:
    return [box[0] * 100, box[1] * 50, box[2] * 100, box[3] * 50]


PICTURES = [picture(box, seed) for seed, box in enumerate(OBJECTS)]


@pytest.mark.parametrize("step", [1, 3, 4, 100])
@pytest.mark.parametrize("upsample", ["nearest", "bilinear"])
def test_objects_are_found_in_pixels_of_the_original_image(step: int, upsample: Upsample) -> None:
    found = locate(PICTURES, ["train"] * 4, step=step, upsample=upsample)
    assert found.schema.equals(BOXES)
    assert found["image_id"].to_pylist() == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]
    assert found["status"].to_pylist() == ["ok"] * 4
    # Upsampled, a border lies where the heat crosses zero: within a third of a cell from the cells' own border.
    tolerance = 0 if upsample == "nearest" else 0.3
    cells = boxes_array(found) / [100, 50, 100, 50]
    np.testing.assert_allclose(cells, OBJECTS, atol=tolerance)
    assert 0.9 < found["explained_variance_ratio"][0].as_py() <= 1
    assert 0 < found["sign_margin"][0].as_py() <= 1
    assert found["area_fraction"].to_pylist() == pytest.approx([0.25, 0.25, 0.25, 0.125], abs=0.15)
    assert min(found["mean_heat"].to_pylist()) > 0


def test_unreadable_images_cost_only_themselves() -> None:
    pictures = [PICTURES[0], *[PICTURES[1]] * 4, PICTURES[2], PICTURES[3]]
    bad = (1, 2, 3, 4)  # the end of one batch and most of the next
    found = locate(pictures, ["train"] * 7, bad)
    readable = [row for row in range(7) if row not in bad]
    assert [row for row, status in enumerate(found["status"].to_pylist()) if status == "unreadable"] == list(bad)
    alone = locate([pictures[row] for row in readable], ["train"] * 3)
    np.testing.assert_array_equal(boxes_array(found)[readable], boxes_array(alone))
    assert np.isnan(boxes_array(found)[list(bad)]).all()
    assert np.isnan(found["mean_heat"].to_numpy()[list(bad)]).all()


def test_batch_without_a_readable_image_is_no_obstacle() -> None:
    found = locate(PICTURES, ["train"] * 4, bad=(0, 1), step=2)
    assert found["status"].to_pylist() == ["unreadable", "unreadable", "ok", "ok"]
    assert boxes_array(found)[2:].tolist() == [pixels(box) for box in OBJECTS[2:]]


def test_class_without_a_readable_image_has_rows_and_no_boxes() -> None:
    found = locate(PICTURES, ["train"] * 4, bad=range(4))
    assert found.schema.equals(BOXES)
    assert found["status"].to_pylist() == ["unreadable"] * 4
    assert np.isnan(boxes_array(found)).all()
    assert np.isnan(found["explained_variance_ratio"].to_numpy()).all()


def test_test_images_do_not_touch_the_component() -> None:
    # Many test images that vary far more, and in another channel, than the training images.
    strangers = [picture((0, 0, 4, 2), seed, channel=2) for seed in range(20)]
    alone = locate(PICTURES, ["train"] * 4)
    mixed = locate([*PICTURES, *strangers], ["train"] * 4 + ["test"] * 20)
    assert mixed.slice(0, 4).equals(alone)
    pooled = locate([*PICTURES, *strangers], ["train"] * 24)
    assert not pooled.slice(0, 4).equals(alone)


def test_test_image_is_projected_on_the_training_images_component() -> None:
    found = locate([*PICTURES, picture((0, 2, 3, 4), 9)], ["train"] * 4 + ["test"])
    assert boxes_array(found)[4].tolist() == pixels((0, 2, 3, 4))


@pytest.mark.parametrize(
    ("splits", "bad"),
    [
        pytest.param(["test"] * 4, (), id="none"),
        pytest.param(["train", "test", "test", "test"], (0,), id="none that can be read"),
    ],
)
def test_class_without_training_images_uses_what_it_has(splits: list[str], bad: tuple[int, ...]) -> None:
    found = locate(PICTURES, splits, bad)
    for row in set(range(4)) - set(bad):
        assert boxes_array(found)[row].tolist() == pixels(OBJECTS[row])


@pytest.mark.parametrize("number", [1, 3])
def test_equal_images_of_one_colour_have_no_foreground(number: int) -> None:
    found = locate([torch.full((SIZE, SIZE, 3), 99, dtype=torch.uint8)] * number, ["train"] * number)
    assert found["status"].to_pylist() == ["no_foreground"] * number
    assert boxes_array(found).tolist() == [[0, 0, 400, 200]] * number
    assert found["explained_variance_ratio"].to_pylist() == [0] * number


def test_one_image_is_enough() -> None:
    found = locate(PICTURES[:1], ["train"])
    assert boxes_array(found).tolist() == [pixels(OBJECTS[0])]


def test_more_images_than_are_projected_at_once_come_in_order() -> None:
    boxes = [OBJECTS[i % 4] for i in range(150)]
    found = locate([picture(box, i) for i, box in enumerate(boxes)], ["train"] * 150, step=40)
    assert boxes_array(found).tolist() == [pixels(box) for box in boxes]


@pytest.mark.parametrize("upsample", ["nearest", "bilinear"])
@pytest.mark.parametrize("bad", [(), (0, 63, 64, 130)])
def test_class_that_is_read_twice_has_the_same_boxes(upsample: Upsample, bad: tuple[int, ...]) -> None:
    pictures = [picture(OBJECTS[i % 4], i) for i in range(150)]
    splits = ["train"] * 100 + ["test"] * 50
    kept = locate(pictures, splits, bad, step=40, upsample=upsample)
    twice = locate(pictures, splits, bad, step=7, upsample=upsample, max_bytes=100)
    assert repr(twice.to_pydict()) == repr(kept.to_pydict())  # which takes NaN for NaN


def test_class_is_read_twice_only_above_the_budget() -> None:
    features = 4 * 4 * 4 * 3 * 4  # images, cells, channels, bytes
    for max_bytes, times in ((features, 1), (features - 1, 2)):
        read, calls = reader(PICTURES), []

        def count(accept: Accept, read: Read = read, calls: list[int] = calls) -> None:
            calls.append(1)
            read(accept)

        locate_class(catalog(["train"] * 4), count, input_size=SIZE, upsample="nearest", max_bytes=max_bytes)
        assert len(calls) == times


def test_features_that_are_not_finite_name_the_class() -> None:
    def broken(images_NHWC: torch.Tensor) -> torch.Tensor:
        return extract(images_NHWC) * torch.nan

    with pytest.raises(UserError, match="class 'seven': found no finite moments"):
        locate_class(catalog(["train"] * 4), reader(PICTURES, extract=broken), input_size=SIZE, upsample="nearest")


def test_image_without_a_size_in_the_catalog_is_unreadable_whatever_the_decoder_says() -> None:
    pictures = [picture(box) for box in OBJECTS]
    sizes = pa.array([400, 0, 400, 400], pa.int32())
    images = catalog(["train"] * 4)
    images = images.set_column(images.schema.get_field_index("width"), "width", sizes)
    found = locate_class(images, reader(pictures), input_size=SIZE, upsample="nearest")["boxes"]
    assert found["status"].to_pylist() == ["ok", "unreadable", "ok", "ok"]
    without = locate([pictures[0], pictures[2], pictures[3]], ["train"] * 3)
    np.testing.assert_array_equal(np.delete(boxes_array(found), 1, axis=0), boxes_array(without))
