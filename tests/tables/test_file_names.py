"""Names out of data become files' names: safe, short, and no two alike."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psol_ray.tables.file_names import LONGEST, file_names


@pytest.mark.parametrize(
    "name",
    [
        "001.Black_footed_Albatross",
        "n01440764",
        "great grey owl",
        "Höhle",
        "鳥",
        "a" * 200,
        "--help",
        "Brewer's (f), x+y=1",
    ],
)
def test_ordinary_names_stay_as_they_are(name: str) -> None:
    assert file_names([name]) == {name: name}


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("x/../../y", "x%2F..%2F..%2Fy"),
        ("..", "%2E%2E"),
        (".hidden", "%2Ehidden"),
        ("etc. ", "etc%2E%20"),
        ('a\\b:c*d?e"f<g>h|i', "a%5Cb%3Ac%2Ad%3Fe%22f%3Cg%3Eh%7Ci"),
        ("100%", "100%25"),
        ("%2F", "%252F"),
        ("line\nbreak\0", "line%0Abreak%00"),
        ("right\u202eleft", "right%E2%80%AEleft"),
        ("con", "%63on"),
        ("LPT1.x", "%4CPT1.x"),
        ("console", "console"),
    ],
)
def test_what_files_cannot_have_is_encoded(name: str, made: str) -> None:
    assert file_names([name]) == {name: made}


@pytest.mark.parametrize("names", [["Cat", "cat", "CAT"], ["\u00e9", "e\u0301"], ["\u00c9t\u00e9", "e\u0301te\u0301"]])
def test_names_that_differ_in_case_or_form_alone_stay_apart(names: list[str]) -> None:
    made = file_names(names)
    assert made == file_names(names[::-1])
    assert len({unicodedata.normalize("NFD", name).casefold() for name in made.values()}) == len(names)
    assert min(names) == made[min(names)]


def test_long_names_are_cut_between_characters_and_stay_apart() -> None:
    names = ["é" * 300, "é" * 299, "x" + "/" * 300, "a" * (LONGEST + 1)]
    made = file_names(names)
    assert len(set(made.values())) == 4
    assert all(len(name.encode()) <= LONGEST for name in made.values())


@given(st.sets(st.text(max_size=300), max_size=8))
def test_any_names_are_files_of_one_folder(names: set[str]) -> None:
    made = file_names(names)
    assert made.keys() == names
    assert len({unicodedata.normalize("NFD", name).casefold() for name in made.values()}) == len(names)
    for name in made.values():
        path = Path("/run/boxes") / f"part-{name}.parquet"
        assert path.resolve().parent == Path("/run/boxes")
        assert len(path.name.encode()) <= 255
