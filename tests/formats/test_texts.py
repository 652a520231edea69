"""Numbers and names as texts, a column at a time."""

import io
import json

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from psol_ray.formats.texts import as_bytes, hundred_millionths, join, json_texts, numbers, sides, write_items

_corners = st.integers(0, 10**10).map(lambda number: float(np.float32(number / 10**5)))  # pixels


@given(st.lists(st.tuples(_corners, _corners), min_size=1))
def test_a_corner_and_a_side_give_the_other_corner_to_the_last_digit(pairs: list[tuple[float, float]]) -> None:
    starts_N, ends_N = np.sort(np.array(pairs), axis=1).T
    # As it is read: of fewer digits than the float32 has as a float64.
    starts_N = np.asarray(numbers(starts_N.astype(np.float32)).cast(pa.float64()))
    sides_N = sides(starts_N, ends_N)
    np.testing.assert_array_equal((starts_N + sides_N).astype(np.float32), ends_N.astype(np.float32))
    for text, side in zip(numbers(sides_N).to_pylist(), sides_N, strict=True):
        assert float(text) == side
        assert len(text.partition("e")[0].replace(".", "").strip("0")) <= 9


def test_numbers_have_the_digits_of_their_type() -> None:
    assert numbers(np.array([0.1, 1 / 3, 40, 0], np.float32)).to_pylist() == ["0.1", "0.33333334", "40", "0"]
    assert numbers(np.array([7, 0])).to_pylist() == ["7", "0"]


def test_corners_as_whole_hundred_millionths() -> None:
    shares = hundred_millionths(np.array([[0, 10, 30, 20], [1 / 3, 0, 1, 1.0]]), np.array([[30, 20], [1, 1]]))
    assert shares.tolist() == [[0, 5 * 10**7, 10**8, 10**8], [33333333, 0, 10**8, 10**8]]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=5))
def test_names_are_as_json_has_them(names: list[str]) -> None:
    assert [json.loads(text) for text in json_texts(names).to_pylist()] == names


def test_items_have_commas_between_them() -> None:
    file, nothing = io.BytesIO(), pa.array([], pa.string())
    write_items(file, [nothing, join("<", pa.array(["a", "é"]), ">"), nothing, pa.array(["b"])])
    assert file.getvalue().decode() == "<a>,\n<é>,\nb"


def test_the_bytes_of_some_texts() -> None:
    assert bytes(as_bytes(pa.array(["ab", "", "c", "de"]).slice(1, 2))) == b"c"
