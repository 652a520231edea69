from pathlib import Path

import pytest

from psol_ray.catalog.wsol_files import read_numbers
from psol_ray.errors import UserError

from .trees import write


def test_columns_of_whole_numbers_in_the_order_of_the_file(tmp_path: Path) -> None:
    table = read_numbers(write(tmp_path / "a.txt", 'b/"x" y.jpg,007,1\r\n\r\nä.jpg, 2 ,999999999'), ("width", "height"))
    assert table.to_pydict() == {"image_id": ['b/"x" y.jpg', "ä.jpg"], "width": [7, 2], "height": [1, 999_999_999]}


@pytest.mark.parametrize("text", ["", "\n", "\n\n"])
def test_an_empty_file_has_no_rows(tmp_path: Path, text: str) -> None:
    assert read_numbers(write(tmp_path / "a.txt", text), ("label",)).to_pydict() == {"image_id": [], "label": []}


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (
            ["a.jpg"],
            r"found 1 lines of another form \('a.jpg'\), expected IMAGE_ID,LABEL in whole numbers, 0 or more; fix",
        ),
        (
            ["a.jpg,1,2", ",1", "b.jpg,x", "c.jpg,", "d.jpg,1.0"],
            r"found 5 lines .*\('a.jpg,1,2', ',1', 'b.jpg,x' and 2 more\)",
        ),
        (["a.jpg,9999999999"], r"found 1 lines of another form \('a.jpg,9999999999'\)"),
    ],
)
def test_malformed_lines_are_counted_and_shown(tmp_path: Path, lines: list[str], found: str) -> None:
    path = write(tmp_path / "a.txt", "\n".join(["good.jpg,3", *lines, "fine.jpg,4"]))
    with pytest.raises(UserError, match=f"a.txt: {found}"):
        read_numbers(path, ("label",))


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"a\xff.jpg,1\n")
    with pytest.raises(UserError, match=r"expected text in UTF-8; download the file again"):
        read_numbers(tmp_path / "a.txt", ("label",))
