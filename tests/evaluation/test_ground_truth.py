"""The metrics on boxes drawn by hand."""

import math

import numpy as np
import pyarrow as pa
import pytest

from psol_ray.evaluation.metrics import GroundTruth, best_ious, gt_known, in_top_k, rate

from .tables import NAN_BOX, catalog_of, image

SQUARE = (0, 0, 10, 10)


@pytest.mark.parametrize(
    ("box", "gt", "expected"),
    [
        pytest.param(SQUARE, [SQUARE], 1.0, id="same"),
        pytest.param((0, 0, 5, 10), [(5, 0, 10, 10)], 0.0, id="touching"),
        pytest.param((0, 0, 5, 5), [(5, 5, 10, 10)], 0.0, id="touching corners"),
        pytest.param((0, 0, 2, 2), [(6, 6, 9, 9)], 0.0, id="apart"),
        pytest.param((2, 2, 4, 4), [SQUARE], 0.04, id="inside"),
        pytest.param((-10, 0, 10, 10), [SQUARE], 0.5, id="over the border"),
        pytest.param((3, 3, 3, 8), [SQUARE], 0.0, id="no area"),
        pytest.param((3, 3, 3, 8), [(3, 3, 3, 8)], 0.0, id="neither has area"),
        pytest.param((0, 0, 4, 4), [(2, 2, 6, 6)], 4 / 28, id="overlap"),
        pytest.param((0, 0, 4, 4), [(8, 8, 9, 9), (0, 0, 4, 3), (0, 0, 1, 1)], 0.75, id="the best of several"),
        pytest.param(NAN_BOX, [SQUARE], 0.0, id="unreadable"),
        pytest.param(SQUARE, [], math.nan, id="no ground truth"),
        pytest.param(NAN_BOX, [], math.nan, id="unreadable and no ground truth"),
    ],
)
def test_best_iou(box: tuple[float, ...], gt: list[tuple[float, ...]], expected: float) -> None:
    truth = GroundTruth.of(catalog_of(image("a", gt)))
    np.testing.assert_allclose(best_ious(np.array([box], float), truth), [expected], rtol=1e-15)


def test_images_without_ground_truth_do_not_shift_the_others() -> None:
    gts = [[], [(0, 0, 5, 10)], [], [], [(0, 0, 1, 1), SQUARE], []]
    truth = GroundTruth.of(catalog_of(*(image(str(i), gt) for i, gt in enumerate(gts))))
    np.testing.assert_array_equal(
        best_ious(np.tile(np.array(SQUARE, float), (6, 1)), truth), [np.nan, 0.5, np.nan, np.nan, 1, np.nan]
    )


def test_ground_truth_of_a_slice_and_of_chunks() -> None:
    images = catalog_of(*(image(str(i), [(0, 0, i, i)] * i) for i in range(5)))
    chunked = pa.concat_tables([images.slice(0, 2), images.slice(3, 2)])
    truth = GroundTruth.of(chunked)
    assert truth.counts_N.tolist() == [0, 1, 3, 4]
    assert truth.boxes_M4[:, 2].tolist() == [1] + [3] * 3 + [4] * 4


@pytest.mark.parametrize(
    ("iou", "right"),
    [(0.5, True), (np.nextafter(0.5, 0), False), (0.0, False), (1.0, True), (math.nan, False)],
)
def test_gt_known_wants_half_or_more(iou: float, right: bool) -> None:
    assert gt_known(np.array([iou])).tolist() == [right]


def test_rate_of_nothing_is_not_known() -> None:
    assert rate(np.zeros(0, bool)) is None
    assert rate(np.array([True, False, False, False])) == 0.25


@pytest.mark.parametrize(
    ("labels", "in_1", "in_5"),
    [
        pytest.param([7], True, True, id="only"),
        pytest.param([1, 2, 3, 4, 7], False, True, id="fifth"),
        pytest.param([1, 2, 3, 4, 5, 7], False, False, id="sixth"),
        pytest.param([1, 2], False, False, id="absent"),
        pytest.param([], False, False, id="no labels"),
        pytest.param(None, False, False, id="null"),
    ],
)
def test_in_top_k(labels: list[int] | None, in_1: bool, in_5: bool) -> None:
    column = pa.chunked_array([pa.array([[7, 1]], pa.list_(pa.int32())), pa.array([labels, [1]], pa.list_(pa.int32()))])
    label_N = np.array([7, 7, 7])
    assert in_top_k(column, label_N, 1).tolist() == [True, in_1, False]
    assert in_top_k(column, label_N, 5).tolist() == [True, in_5, False]
