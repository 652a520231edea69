"""IoUs with ground truth on boxes drawn by hand, and ranks of true classes."""

import math

import numpy as np
import pyarrow as pa
import pytest
from synthetic.tables import NAN_BOX, catalog_of, image

from psol_ray.evaluation.ground_truth import GroundTruth, best_ious, label_ranks

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
    ("labels", "rank"),
    [
        pytest.param([7], 0, id="only"),
        pytest.param([1, 2, 3, 4, 7], 4, id="fifth"),
        pytest.param([1, 2, 3, 4, 5, 7], 5, id="sixth"),
        pytest.param([1, 7, 7], 1, id="twice"),
        pytest.param([1, 2], -1, id="absent"),
        pytest.param([], -1, id="no labels"),
        pytest.param(None, -1, id="null"),
    ],
)
def test_rank_of_the_true_class(labels: list[int] | None, rank: int) -> None:
    column = pa.chunked_array([pa.array([[7, 1]], pa.list_(pa.int32())), pa.array([labels, [1]], pa.list_(pa.int32()))])
    assert label_ranks(column, np.array([7, 7, 7])).tolist() == [0, rank, -1]
