"""Which side of a component is the object."""

from collections.abc import Sequence

import numpy as np
import pytest

from psol_ray.generators.ddt.sign import choose_sign


def heat(*images: Sequence[float]) -> np.ndarray:
    return np.array(images, np.float32).reshape(len(images), 1, -1)


@pytest.mark.parametrize(
    ("images", "factor", "margin"),
    [
        pytest.param([(-1, 0, 4)], 1, 0.75, id="positive side reaches farther"),
        pytest.param([(-4, 0, 1)], -1, 0.75, id="negative side reaches farther"),
        pytest.param([(-2, 1, 2)], 1, 0, id="toss"),
        pytest.param([(0, 3, 2)], 1, 1, id="nothing on the other side"),
        pytest.param([(0, -3, -1)], -1, 1, id="nothing on the positive side"),
        pytest.param([(0, 0, 0)], 1, 0, id="nothing at all"),
        pytest.param([(-9, 0, 1), (-1, 0, 6), (-1, 0, 6), (-1, 0, 6)], 1, 1 - 3 / 4.75, id="one odd image is outvoted"),
        pytest.param([(-3, -3, 4)], 1, 0.25, id="how many cells there are does not matter"),
    ],
)
def test_the_side_to_which_images_reach_farther_is_made_positive(
    images: list[Sequence[float]], factor: float, margin: float
) -> None:
    found = choose_sign(heat(*images))
    assert found.factor == factor
    assert found.margin == pytest.approx(margin)


def test_the_answer_does_not_depend_on_the_sign_it_starts_with() -> None:
    maps = np.random.default_rng(0).gumbel(size=(20, 4, 4)).astype(np.float32)
    one, other = choose_sign(maps), choose_sign(-maps)
    assert one.factor == -other.factor
    assert one.margin == pytest.approx(other.margin)
