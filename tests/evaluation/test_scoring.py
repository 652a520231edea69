"""Both coordinate spaces and both rules, on boxes drawn by hand."""

from dataclasses import replace

import numpy as np
import pytest
from synthetic.tables import NAN_BOX, boxes_of, catalog_of, image, predictions_of

from psol_ray.evaluation import ScoringProtocol, evaluate

CROP = ScoringProtocol(crop_share=0.8)  # of an image of 10 x 10 the square from 1 to 9
SQUARE = (0, 0, 10, 10)


@pytest.mark.parametrize(
    ("box", "gt", "expected"),
    [
        pytest.param((1, 1, 9, 9), [SQUARE], 1.0, id="truth is clipped"),
        pytest.param(SQUARE, [(1, 1, 9, 9)], 1.0, id="box is clipped"),
        pytest.param((-5, -5, 20, 20), [(1, 1, 9, 5)], 0.5, id="over the border"),
        pytest.param((0, 0, 5, 9), [(4, 0, 10, 10)], 1 / 8, id="both"),
        pytest.param(SQUARE, [(0, 0, 1, 10)], 0.0, id="truth is removed"),
        pytest.param((0, 0, 1, 10), [(0, 0, 1, 10)], 0.0, id="box is removed, too"),
        pytest.param(SQUARE, [(0, 0, 1, 10), (1, 1, 9, 7)], 0.75, id="one of several is left"),
        pytest.param(NAN_BOX, [SQUARE], 0.0, id="unreadable"),
        pytest.param(SQUARE, [], np.nan, id="no ground truth"),
    ],
)
def test_in_the_crop(box: tuple[float, ...], gt: list[tuple[float, ...]], expected: float) -> None:
    found = CROP.ious(catalog_of(image("a", gt)), np.array([box], float))
    np.testing.assert_allclose(found, [expected], atol=1e-12)


def test_the_crop_of_the_paper() -> None:
    """256 x 256, of which the middle 224 x 224 are left: from 16 to 240, on an image of 512 x 128 from 32 and 8."""
    images = catalog_of(image("a", [(0, 8, 32 + 224, 120)], width=512, height=128))
    paper = ScoringProtocol(crop_share=224 / 256)
    np.testing.assert_allclose(paper.ious(images, np.array([[32.0, 8, 480, 120]])), [0.5])
    np.testing.assert_allclose(paper.truth(images).boxes_M4, [[0, 0, 0.5, 1]])


def test_images_whose_boxes_the_crop_removes_are_counted_and_wrong() -> None:
    gts = [[(0, 0, 1, 10)], [(0, 0, 1, 10), SQUARE], [], [(9, 9, 10, 10), (0, 0, 10, 1)], [SQUARE]]
    images = catalog_of(*(image(str(i), gt) for i, gt in enumerate(gts)))
    assert CROP.removed(images).tolist() == [True, False, False, True, False]
    assert not ScoringProtocol().removed(images).any()
    right_N = CROP.right(CROP.ious(images, np.tile(np.array(SQUARE, float), (5, 1))))
    assert right_N.tolist() == [False, True, False, False, True]


def test_an_image_without_a_size_is_wrong_in_either_space() -> None:
    images = catalog_of(image("broken", [SQUARE], width=0, height=0))
    for protocol in (ScoringProtocol(), CROP):
        assert protocol.ious(images, np.array([NAN_BOX])).tolist() == [0.0]


@pytest.mark.parametrize(
    ("iou", "at_least", "above"),
    [
        (0.5, True, False),
        (np.nextafter(0.5, 0), True, False),  # a tie that arithmetic has missed
        (np.nextafter(0.5, 1), True, False),
        (0.5 - 1e-8, False, False),
        (0.5 + 1e-8, True, True),
        (0.0, False, False),
        (1.0, True, True),
        (np.nan, False, False),
    ],
)
def test_the_two_rules_differ_at_exactly_a_half(iou: float, at_least: bool, above: bool) -> None:
    assert ScoringProtocol().right(np.array([iou])).tolist() == [at_least]
    assert ScoringProtocol(above=True).right(np.array([iou])).tolist() == [above]


@pytest.mark.parametrize(
    "protocol", [ScoringProtocol(), ScoringProtocol(224 / 256), ScoringProtocol(299 / 320)], ids=["whole", "224", "299"]
)
def test_ties_of_whole_pixels_are_ties_in_every_space(protocol: ScoringProtocol) -> None:
    """Boxes inside all crops, one twice as wide as the other: an IoU of a half, whatever the size of the image."""
    rng = np.random.default_rng(0)
    rows, boxes = [], []
    for number in range(500):
        width, height = (int(v) for v in rng.integers(200, 700, 2))
        half, tall = (int(v) for v in rng.integers(5, 60, 2))
        x, y = (int(v) for v in rng.integers(50, 70, 2))
        rows.append(image(str(number), [(x, y, x + half, y + tall)], width=width, height=height))
        boxes.append((x, y, x + 2 * half, y + tall))
    iou_N = protocol.ious(catalog_of(*rows), np.array(boxes, float))
    np.testing.assert_allclose(iou_N, 0.5, atol=1e-10)
    assert protocol.right(iou_N).all()
    assert not replace(protocol, above=True).right(iou_N).any()


@pytest.mark.parametrize(
    ("protocol", "told"),
    [
        (ScoringProtocol(), ("original", None, "at_least")),
        (ScoringProtocol(0.875, above=True), ("crop", 0.875, "above")),
    ],
    ids=["standard", "paper"],
)
def test_metrics_say_by_which_protocol_they_were_made(protocol: ScoringProtocol, told: tuple[object, ...]) -> None:
    metrics = evaluate(catalog_of(), boxes_of(), predictions_of(), protocol).metrics
    assert (metrics["coordinates"], metrics["crop_share"], metrics["iou_rule"]) == told
