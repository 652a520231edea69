"""Both passes over features that arrive in pieces of any length."""

import itertools
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic.tables import class_images

from psol_ray.generators.ddt.moments import Component
from psol_ray.generators.ddt.passes import CHUNK, Accept, ClassMoments, Read, measure, project, project_kept

SHAPE = (2, 3, 5)  # h, w, C


def features(number: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(number, *SHAPE)).astype(np.float32))


def reader(map_Nhwc: torch.Tensor, ok_N: np.ndarray, cuts: Sequence[int] = ()) -> Read:
    def read(accept: Accept) -> None:
        edges = [0, *sorted(cuts), len(ok_N)]
        for start, stop in itertools.pairwise(edges):
            accept(start, map_Nhwc[start:stop], ok_N[start:stop])

    return read


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_where_batches_end_changes_no_digit(data: st.DataObject) -> None:
    number = data.draw(st.integers(1, 3 * CHUNK + 5), "number")
    rng = np.random.default_rng(data.draw(st.integers(0, 99), "seed"))
    images = class_images(["train" if is_train else "test" for is_train in rng.random(number) < 0.8])
    map_Nhwc, ok_N = features(number), rng.random(number) < 0.9
    cuts = data.draw(st.lists(st.integers(0, number), max_size=9), "cuts")
    whole, kept = measure(images, reader(map_Nhwc, ok_N), np.inf)
    cut, none = measure(images, reader(map_Nhwc, ok_N, cuts), 0)
    assert kept is not None
    assert none is None
    for one, other in ((whole.train, cut.train), (whole.rest, cut.rest)):
        assert one.count == other.count
        assert one.mean_C.equal(other.mean_C)
        assert one.scatter_CC.equal(other.scatter_CC)
    if (component := whole.component()) is not None:
        once, twice = project_kept(kept, component), project(images, reader(map_Nhwc, ok_N, cuts), component)
        np.testing.assert_array_equal(once.heat_Nhw, twice.heat_Nhw)
        np.testing.assert_array_equal(once.ok_N, ok_N)
        np.testing.assert_array_equal(twice.ok_N, ok_N)


@pytest.mark.parametrize("piece", [CHUNK, 2 * CHUNK])
def test_pieces_cut_between_chunks_merge_to_the_whole(piece: int) -> None:
    number = 3 * CHUNK + 9
    map_Nhwc, ok_N = features(number), np.arange(number) % 7 > 0
    images = class_images(["train"] * 150 + ["test"] * (number - 150))
    whole, _ = measure(images, reader(map_Nhwc, ok_N), 0)
    merged = ClassMoments.empty(SHAPE[-1])
    for start in range(0, number, piece):
        part, _ = measure(images.slice(start, piece), reader(map_Nhwc[start:][:piece], ok_N[start:][:piece]), 0)
        merged.merge(part.cpu())
    for one, other in ((whole.train, merged.train), (whole.rest, merged.rest)):
        assert one.count == other.count
        torch.testing.assert_close(one.mean_C, other.mean_C, rtol=1e-13, atol=1e-13)
        torch.testing.assert_close(one.scatter_CC, other.scatter_CC, rtol=1e-13, atol=1e-10)


def test_test_images_count_only_where_no_training_image_could_be_read() -> None:
    map_Nhwc = features(6)
    images = class_images(["train", "train", "train", "test", "test", "test"])
    for ok, used in (([1, 1, 0, 1, 1, 1], [0, 1]), ([0, 0, 0, 0, 1, 1], [4, 5])):
        moments, _ = measure(images, reader(map_Nhwc, np.array(ok, bool)), 0)
        component = moments.component()
        assert component is not None
        expected = map_Nhwc[used].reshape(-1, SHAPE[-1]).double().mean(dim=0)
        torch.testing.assert_close(component.mean_C, expected, rtol=1e-6, atol=1e-6)


def test_nothing_readable_has_no_component() -> None:
    moments, _ = measure(class_images(["train"] * 3), reader(features(3), np.zeros(3, bool)), np.inf)
    assert moments.component() is None


def test_image_without_a_size_counts_as_unreadable() -> None:
    images = class_images(["train"] * 3).set_column(4, "width", pa.array([9, 0, 9]))
    _, kept = measure(images, reader(features(3), np.ones(3, bool)), np.inf)
    assert kept is not None
    assert project_kept(kept, Component(torch.zeros(5), torch.ones(5), 1.0)).ok_N.tolist() == [True, False, True]


def test_kept_features_are_a_copy_of_the_networks() -> None:
    map_Nhwc = features(4).to(torch.bfloat16)
    _, kept = measure(class_images(["train"] * 4), reader(map_Nhwc, np.ones(4, bool)), np.inf)
    assert kept is not None
    assert kept[0].map_Nhwc.dtype == torch.bfloat16  # half the memory
    expected = map_Nhwc.clone()
    map_Nhwc.zero_()  # the next batch
    assert kept[0].map_Nhwc.equal(expected)
