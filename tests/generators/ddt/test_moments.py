"""Moments that merge exactly, against scikit-learn's PCA of all descriptors at once."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from psol_ray.generators.ddt.moments import Component, Moments, split_scatter


def moments_of(*batches: torch.Tensor) -> Moments:
    moments = Moments.empty(batches[0].shape[1])
    for batch in batches:
        moments.update(batch)
    return moments


def draw(
    number: int, num_channels: int, *, offset: float = 0.0, spread: Sequence[float] = (), seed: int = 0
) -> torch.Tensor:
    """Descriptors with these standard deviations along their first axes and 1 along the others, rotated."""
    rng = np.random.default_rng(seed)
    deviations = np.ones(num_channels)
    deviations[: len(spread)] = spread
    rotation = np.linalg.qr(rng.normal(size=(num_channels, num_channels)))[0]
    values = rng.normal(size=(number, num_channels)) * deviations @ rotation + offset * rng.normal(size=num_channels)
    return torch.from_numpy(values.astype(np.float32))


def assert_is_pca(component: Component, descriptors: torch.Tensor) -> None:
    pca = PCA(n_components=1, svd_solver="full").fit(descriptors.double().numpy())
    cosine = abs(float(component.direction_C.numpy() @ pca.components_[0]))
    assert cosine == pytest.approx(1, abs=1e-5)
    assert component.direction_C.norm().item() == pytest.approx(1, abs=1e-12)
    assert component.explained_variance_ratio == pytest.approx(pca.explained_variance_ratio_[0], rel=1e-5)
    tolerance = 1e-7 * max(abs(pca.mean_).max(), descriptors.float().std().item()) + 1e-6
    np.testing.assert_allclose(component.mean_C.numpy(), pca.mean_, rtol=0, atol=tolerance)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_split_merged_in_any_order_is_the_pca_of_all(data: st.DataObject) -> None:
    number, num_channels = data.draw(st.integers(2, 120), "number"), data.draw(st.integers(2, 12), "channels")
    offset = data.draw(st.sampled_from([0.0, 1.0, 100.0]), "offset")
    descriptors = draw(number, num_channels, offset=offset, spread=[3], seed=data.draw(st.integers(0, 999), "seed"))
    cuts = sorted(data.draw(st.lists(st.integers(0, number), max_size=6), "cuts"))
    parts = [moments_of(part) for part in descriptors.tensor_split(cuts)]
    while len(parts) > 1:
        other = parts.pop(data.draw(st.integers(0, len(parts) - 1), "merged"))
        parts[data.draw(st.integers(0, len(parts) - 1), "into")].merge(other)
    assert parts[0].count == number
    values = np.linalg.eigvalsh(np.cov(descriptors.double().numpy().T))
    if values[-1] - values[-2] > 0.02 * values[-1]:  # else the first component is anybody's
        assert_is_pca(parts[0].component(), descriptors)
    assert parts[0].scatter_CC.trace().item() / max(number - 1, 1) == pytest.approx(values.sum(), rel=1e-5)


@pytest.mark.parametrize(
    ("offset", "spread"),
    [
        pytest.param(0, [1.06], id="nearly flat spectrum"),
        pytest.param(0, [1.06, 1.03, 1.02], id="close runners-up"),
        pytest.param(1000, [2], id="offset 1000 times the spread"),
        pytest.param(0, [1e4], id="one direction that dwarfs all others"),
        pytest.param(0, [1e-3] * 63, id="all but one direction small"),
    ],
)
@pytest.mark.parametrize("step", [50, 3000])
def test_hard_spectra_in_batches_of_any_size(offset: float, spread: list[float], step: int) -> None:
    descriptors = draw(5000, 64, offset=offset, spread=spread)
    assert_is_pca(moments_of(*descriptors.split(step)).component(), descriptors)


def test_half_precision_descriptors_are_summed_in_full_precision() -> None:
    descriptors = draw(2000, 16, offset=50, spread=[4]).to(torch.bfloat16)
    assert_is_pca(moments_of(*descriptors.split(100)).component(), descriptors)


def test_merging_nothing_changes_nothing() -> None:
    moments, descriptors = Moments.empty(4), draw(9, 4)
    moments.merge(Moments.empty(4))
    moments.update(descriptors[:0])
    assert moments.count == 0
    moments.update(descriptors)
    before = moments.scatter_CC.clone()
    moments.merge(Moments.empty(4))
    assert moments.count == 9
    assert moments.scatter_CC.equal(before)


@pytest.mark.parametrize(
    "descriptors",
    [
        pytest.param(torch.zeros(50, 8), id="all zero"),
        pytest.param(torch.full((50, 8), 0.1), id="all equal"),
        pytest.param(draw(1, 8, offset=1e4).expand(50, 8), id="all equal and far from zero"),
        pytest.param(draw(1, 8), id="one descriptor"),
    ],
)
@pytest.mark.parametrize("step", [1, 7, 50])
def test_without_variance_every_projection_is_zero(descriptors: torch.Tensor, step: int) -> None:
    component = moments_of(*descriptors.split(step)).component()
    assert not component.project(descriptors).any()
    assert component.explained_variance_ratio == 0


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("batch", [0, 1])
def test_descriptor_that_is_not_finite_is_refused(bad: float, batch: int) -> None:
    batches = list(draw(20, 4).split(10))
    batches[batch][3, 2] = bad
    with pytest.raises(ValueError, match="no finite moments of 20 descriptors"):
        moments_of(*batches).component()


def test_no_descriptor_is_refused() -> None:
    with pytest.raises(ValueError, match="0 descriptors"):
        Moments.empty(4).component()


@pytest.mark.parametrize("offset", [0, 1e4])
def test_projection_is_that_of_the_centred_descriptor(offset: float) -> None:
    descriptors = draw(500, 64, offset=offset, spread=[5])
    component = moments_of(descriptors).component()
    expected = (descriptors.double() - component.mean_C) @ component.direction_C
    found = component.project(descriptors.reshape(5, 10, 10, 64))
    assert found.dtype == torch.float32
    assert found.shape == (5, 10, 10)
    torch.testing.assert_close(found.reshape(-1).double(), expected, rtol=1e-5, atol=1e-5 * max(offset, 1))


@pytest.mark.parametrize("offset", [0.0, 3.0, 300.0])
@pytest.mark.parametrize("spread", [[1.0] * 64, [100.0, *[1.0] * 63], [1e-3, *[1.0] * 63]])
def test_products_of_bfloat16_in_two_parts_lose_nothing_of_the_component(offset: float, spread: list[float]) -> None:
    """What a GPU computes, with products that are exact: those of two bfloat16 values are, in float32."""
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(6000, 1)) @ rng.normal(size=(1, 64))
    rows_RC = torch.from_numpy((rng.normal(size=(6000, 64)) + 0.5 * shared) * spread + offset).float()
    centred_RC = rows_RC - rows_RC.mean(dim=0)
    found = split_scatter(centred_RC, lambda a, b: a.float() @ b.float()).double()
    exact = centred_RC.double().T @ centred_RC.double()
    assert (found - exact).norm() / exact.norm() < 1e-5
    _, vectors = torch.linalg.eigh(torch.stack([found, exact]))
    assert abs(float(vectors[0, :, -1] @ vectors[1, :, -1])) > 1 - 1e-7
