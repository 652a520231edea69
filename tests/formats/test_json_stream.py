"""Large JSON item by item, wherever a piece of the file ends."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from psol_ray.errors import UserError
from psol_ray.formats import json_stream
from psol_ray.formats.json_stream import first_character, stream_json

MAPPING = {"a": [1, {"b": [2, "x, ]}"]}], "empty": [], "info": {"k": None, "l": {}}, "none": {}, "n": 12345, "t": "é\n"}
ITEMS = [("a", 1), ("a", {"b": [2, "x, ]}"]}), ("info", ("k", None)), ("info", ("l", {})), ("n", 12345), ("t", "é\n")]


def write(folder: Path, text: str) -> Path:
    (folder / "a.json").write_text(text, encoding="utf-8")
    return folder / "a.json"


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("indent", [None, 2])
def test_items_of_a_mapping_and_of_a_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int, indent: int | None
) -> None:
    monkeypatch.setattr(json_stream, "_CHUNK", chunk)
    assert list(stream_json(write(tmp_path, json.dumps(MAPPING, indent=indent)))) == ITEMS
    numbers: list[Any] = [123, -4.5e-6, {"a": 12}, [], 78]
    assert list(stream_json(write(tmp_path, json.dumps(numbers, indent=indent)))) == [("", item) for item in numbers]
    assert list(stream_json(write(tmp_path, " [ ] "))) == []


def test_what_a_file_begins_with(tmp_path: Path) -> None:
    for text, character in {"\ufeff \n[1]": "[", "{}": "{", "  ": ""}.items():
        assert first_character(write(tmp_path, text)) == character


@pytest.mark.parametrize(
    "text", ["", "[1, 2", "[1 2]", '{"a" 1}', '{"a": [1}', "{1: 2}", "[1] 2", "[nul]", '["a', "[" * 9999]
)
def test_what_is_no_json_is_told_in_one_sentence(tmp_path: Path, text: str) -> None:
    with pytest.raises(UserError, match=r"a.json: found .*, expected JSON; copy the file again") as refusal:
        list(stream_json(write(tmp_path, text)))
    assert "\n" not in str(refusal.value)


def test_bytes_that_are_not_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'["\xff"]')
    for read in (first_character, lambda path: list(stream_json(path))):
        with pytest.raises(UserError, match=re.escape("a.json: found 'utf-8' codec can't decode")):
            read(tmp_path / "a.json")
