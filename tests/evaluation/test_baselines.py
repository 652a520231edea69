"""What boxes score that have not seen the image."""

from itertools import product
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from synthetic.tables import catalog_of, image

from psol_ray.evaluation.baselines import _hits, baselines, best_constant_box, whole_image_score
from psol_ray.evaluation.scoring import ScoringProtocol
from psol_ray.geometry.boxes import scale

from .wsol import read_wsol


@pytest.mark.parametrize(
    ("data", "protocol", "whole", "constant"),
    [
        pytest.param("ILSVRC/test", ScoringProtocol(), 0.40340, 0.543, id="imagenet"),
        pytest.param("ILSVRC/test", ScoringProtocol(224 / 256), 0.50440, 0.574, id="imagenet, crop"),
        pytest.param("CUB/test", ScoringProtocol(), 0.18174, 0.599, id="cub"),
    ],
)
def test_trivial_baselines(shared: Path, data: str, protocol: ScoringProtocol, whole: float, constant: float) -> None:
    catalog = read_wsol(shared / "data/wsolevaluation_metadata" / data)
    found = baselines(catalog, protocol)
    assert found["whole_image"] == pytest.approx(whole, abs=1e-5)
    assert found["constant_box"] is not None
    assert constant <= found["constant_box"] < constant + 0.001


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [(ScoringProtocol(), 0.538), (ScoringProtocol(224 / 256), 0.569)],
    ids=["original", "crop"],
)
def test_the_best_centred_box_of_imagenet(shared: Path, protocol: ScoringProtocol, expected: float) -> None:
    truth = protocol.truth(read_wsol(shared / "data/wsolevaluation_metadata/ILSVRC/test"))
    half_I = np.arange(1, 51) / 100  # in steps of 0.02 of a side
    intervals_I2 = np.stack([0.5 - half_I, 0.5 + half_I], axis=1)
    best = _hits(intervals_I2, intervals_I2, truth).max() / len(truth.counts_N)
    assert best == pytest.approx(expected, abs=0.0006)


def test_is_found_again_and_scored_as_reported() -> None:
    images = _random_catalog(seed=1)
    box, score = best_constant_box(images)
    again, _ = best_constant_box(images)
    assert box is not None
    assert again is not None
    np.testing.assert_array_equal(box, again)
    np.testing.assert_allclose(box * 100, np.rint(box * 100), atol=1e-9)
    assert _score(images, box) == score


def test_no_box_on_the_coarse_grid_is_better() -> None:
    images = _random_catalog(seed=2)
    _, score = best_constant_box(images)
    ticks = np.linspace(0, 1, 6)
    others = [_score(images, np.array(b)) for b in product(ticks, repeat=4) if b[0] < b[2] and b[1] < b[3]]
    assert score is not None
    assert max(others) <= score
    assert score > whole_image_score(images)  # type: ignore[operator]


@pytest.mark.parametrize(
    "gt",
    [(30, 10, 50, 90), (1, 1, 4, 3), (61, 61, 64, 66), (0, 0, 100, 100), (97, 97, 100, 100)],
    ids=["on the grid", "tiny in the corner", "tiny between the grid", "whole", "tiny at the end"],
)
def test_finds_where_all_objects_are(gt: tuple[float, ...]) -> None:
    sizes = [(100, 100), (50, 200), (300, 10)]
    images = catalog_of(
        *(
            image(str(i), [(np.array(gt) * [w, h, w, h] / 100).tolist()], width=w, height=h)
            for i, (w, h) in enumerate(sizes)
        )
    )
    box, score = best_constant_box(images)
    assert score == 1.0
    assert box is not None
    assert _score(images, box) == 1.0


def test_a_box_that_is_inside_out_does_not_win() -> None:
    """Its area is negative, which would make up for any overlap it lacks."""
    places = (10, 30, 50, 70, 90)
    gts = [[(p, p, p + 1, p + 1)] for p in places]
    images = catalog_of(*(image(str(i), gt, width=100, height=100) for i, gt in enumerate(gts)))
    assert baselines(images)["constant_box"] == 1 / 5


@pytest.mark.filterwarnings("error")
def test_images_that_cannot_be_used_still_count() -> None:
    square = [(0, 0, 10, 10)]
    images = catalog_of(image("a", square), image("broken", square, width=0, height=0), image("no truth"))
    found = baselines(images)
    assert (found["whole_image"], found["constant_box"]) == (0.5, 0.5)


def test_objects_without_area_are_never_hit() -> None:
    found = baselines(catalog_of(image("a", [(5, 5, 5, 5)])))
    assert (found["whole_image"], found["constant_box"]) == (0.0, 0.0)


def test_in_a_crop_boxes_are_fractions_of_it() -> None:
    """Objects that fill the middle half of their images fill a crop of half their sides."""
    images = catalog_of(
        image("a", [(25, 25, 75, 75)], width=100, height=100), image("out", [(0, 0, 9, 9)], width=100, height=100)
    )
    found = baselines(images, ScoringProtocol(0.5))
    assert (found["whole_image"], found["constant_box"]) == (0.5, 0.5)
    left_half = catalog_of(image("a", [(25, 25, 50, 75)], width=100, height=100))
    box, score = best_constant_box(left_half, ScoringProtocol(0.5, above=True))
    assert score == 1.0
    assert box is not None
    assert box[2] < 1


def _random_catalog(seed: int) -> pa.Table:
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(300):
        size = rng.integers(20, 400, 2)
        centre, extent = rng.normal(0.5, 0.1, (rng.integers(1, 3), 2)), rng.uniform(0.2, 0.7, 2)
        corners = np.clip(np.concatenate([centre - extent / 2, centre + extent / 2], axis=1), 0, 1)
        rows.append(image(str(i), corners * np.tile(size, 2), width=int(size[0]), height=int(size[1])))
    return catalog_of(*rows)


def _score(images: pa.Table, fractions: np.ndarray) -> float:
    sizes = (images.column(name).to_numpy() for name in ("width", "height"))
    boxes = scale(np.tile(fractions, (len(images), 1)), *sizes)
    protocol = ScoringProtocol()
    return float(protocol.right(protocol.ious(images, boxes)).mean())
