import unicodedata
from pathlib import Path

import pyarrow as pa
import pytest

from psol_ray.catalog.unicode_forms import check_one_form, composed, stored_paths
from psol_ray.errors import UserError

from .trees import touch

NFC, NFD = (unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD"))


def names(*texts: str) -> pa.Array:
    return pa.array(texts, pa.string())


def test_the_two_forms_are_two_names() -> None:
    assert NFC != NFD


def test_composed_names_are_equal() -> None:
    assert composed(names(NFC, NFD, "cat")).to_pylist() == [NFC, NFC, "cat"]
    assert composed(names()).to_pylist() == []


def test_two_forms_of_a_name_are_refused_by_their_code_points() -> None:
    check_one_form("here", names("cat", NFD, "cat", NFD))
    expected = r"here: found 2 names that look like 'caf.*' .*\(caf U\+00E9 / cafe U\+0301\), expected each name once"
    with pytest.raises(UserError, match=expected):
        check_one_form("here", names("cat", NFC, "cat", NFD))


@pytest.mark.parametrize("said", [f"{NFC}/{NFD}.jpg", f"{NFD}/{NFC}.jpg", f"{NFC}/{NFC}.jpg", f"{NFD}/{NFD}.jpg"])
@pytest.mark.parametrize("stored", [f"{NFC}/{NFD}.jpg", f"{NFD}/{NFC}.jpg", f"{NFC}/{NFC}.jpg"])
def test_a_path_is_found_in_whatever_form_it_is_stored(tmp_path: Path, said: str, stored: str) -> None:
    touch(tmp_path, stored)
    assert stored_paths(str(tmp_path), names("a.jpg", said)).to_pylist() == ["a.jpg", stored]


def test_many_paths_keep_their_order(tmp_path: Path) -> None:
    touch(tmp_path, *(f"{NFD}/{i}.jpg" for i in range(600)))
    said = [f"{NFC}/{i}.jpg" if i % 3 else f"{i}.jpg" for i in range(600)]
    assert stored_paths(str(tmp_path), names(*said)).to_pylist() == [name.replace(NFC, NFD) for name in said]


def test_of_two_files_the_one_that_is_named(tmp_path: Path) -> None:
    touch(tmp_path, NFC, NFD)
    assert stored_paths(str(tmp_path), names(NFD, NFC)).to_pylist() == [NFD, NFC]


def test_a_path_that_may_mean_either_of_two_files_is_refused(tmp_path: Path) -> None:
    composed_twice = unicodedata.normalize("NFC", "\u1e69")  # s with dots below and above
    touch(tmp_path, composed_twice, unicodedata.normalize("NFD", composed_twice))
    with pytest.raises(UserError, match=r"found U\+1E69, s U\+0323\s+U\+0307 for .* rename or remove all but one"):
        stored_paths(str(tmp_path), names("\u1e63\u0307"))


def test_a_path_without_a_file_stays(tmp_path: Path) -> None:
    assert stored_paths(str(tmp_path), names(f"{NFD}/1.jpg")).to_pylist() == [f"{NFD}/1.jpg"]
