import numpy as np
import pytest
import torch

from psol_ray.generators.ddt import eigen
from psol_ray.generators.ddt.eigen import first_eigenpair

FALLING = 1 / np.arange(1, 301) ** 0.8


def matrix(values: np.ndarray) -> tuple[torch.Tensor, np.ndarray]:
    """A symmetric matrix of these eigenvalues, and the vector of the first one."""
    basis, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(len(values), len(values))))
    product = (basis * values) @ basis.T
    return torch.from_numpy((product + product.T) / 2), basis[:, 0]


@pytest.mark.parametrize(
    "values",
    [
        FALLING,
        np.r_[1, 0.999, FALLING[2:]],
        np.r_[1, 1 - 1e-5, FALLING[2:]],
        np.r_[3, 2, 1, np.zeros(297)],
        np.r_[1, np.zeros(299)],
        np.r_[1e9, FALLING[1:]],
        FALLING * 1e-30,
        np.r_[1 + 1e-3, np.linspace(1, 0.999, 299)],
    ],
    ids=["falling", "close", "closer", "rank 3", "rank 1", "one dwarfs all", "tiny", "flat"],
)
def test_first_of_many(values: np.ndarray) -> None:
    symmetric, expected = matrix(values)
    value, vector_C = first_eigenpair(symmetric)
    assert value == pytest.approx(values[0], rel=1e-13)
    angle = np.linalg.norm(vector_C.numpy() - expected * np.sign(expected @ vector_C.numpy()))
    assert angle < 1e-14 * values[0] / (values[0] - values[1]) + 1e-12


@pytest.mark.parametrize("size", [1, 2, 3, 23, 24, 25, 26, 49])
def test_of_few_channels_there_are_no_more_steps_than_that(size: int) -> None:
    rows = np.random.default_rng(size).normal(size=(size, size))
    symmetric = torch.from_numpy(rows @ rows.T)
    values, vectors = np.linalg.eigh(symmetric.numpy())
    value, vector_C = first_eigenpair(symmetric)
    assert value == pytest.approx(values[-1])
    assert abs(vectors[:, -1] @ vector_C.numpy()) == pytest.approx(1, abs=1e-12)


def test_blocks_that_do_not_mix() -> None:
    """Begun with a channel of the first block, the iteration would never see the second."""
    symmetric = torch.diag(torch.tensor([5.0, 1, 1, 1], dtype=torch.float64))
    symmetric[2:, 2:] = 4.0
    value, vector_C = first_eigenpair(symmetric)
    assert value == pytest.approx(8)
    assert vector_C.abs().numpy() == pytest.approx([0, 0, 0.5**0.5, 0.5**0.5], abs=1e-12)


def test_where_steps_are_not_enough_lapack_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eigen, "_MOST_STEPS", 24)
    symmetric, expected = matrix(np.r_[1 + 1e-3, np.linspace(1, 0.999, 299)])
    value, vector_C = first_eigenpair(symmetric)
    assert value == pytest.approx(1 + 1e-3, rel=1e-13)
    assert abs(expected @ vector_C.numpy()) == pytest.approx(1, abs=1e-12)


def test_is_the_same_each_time() -> None:
    symmetric, _ = matrix(FALLING)
    (first, vector_C), (second, other_C) = first_eigenpair(symmetric), first_eigenpair(symmetric)
    assert first == second
    assert torch.equal(vector_C, other_C)
