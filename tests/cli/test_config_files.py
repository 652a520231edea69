"""YAML files that cannot be read as they are meant."""

import re
from pathlib import Path

import pytest

from psol_ray.cli.config_files import check_file
from psol_ray.cli.parse import parse
from psol_ray.errors import UserError

TEXT = "run_dir: run\ndata:\n  root: caf\u00e9\nboxes: {method: cam}\n"


@pytest.mark.parametrize(
    "text", [TEXT, "\ufeff" + TEXT, TEXT.replace("\n", "\r\n"), "", "- a\n- a\n", "a: [", "a: &x [*x, {b: 1}]"]
)
def test_what_is_text_with_each_key_once_or_another_mistake(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yaml").write_text(text, encoding="utf-8", newline="")
    check_file(str(tmp_path / "a.yaml"))
    check_file(str(tmp_path / "gone.yaml"))
    check_file(str(tmp_path))


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
@pytest.mark.parametrize("flag", ["--config", "--config="])
def test_another_encoding_is_told_with_the_file(tmp_path: Path, encoding: str, flag: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(TEXT.encode(encoding))
    words = [flag + str(path)] if flag.endswith("=") else [flag, str(path)]
    complaint = (
        rf"config: found 'utf-8' codec can't decode .* in {re.escape(str(path))}, expected YAML in UTF-8; save it"
    )
    with pytest.raises(UserError, match=complaint):
        parse(["index", *words])


@pytest.mark.parametrize(
    ("more", "key", "line"),
    [
        ("data:\n  layout: cub\n", "data", 5),
        ("train:\n  epochs: 1\n  epochs: 2\n", "epochs", 7),
        ("a: [{b: 1, b: 1}]", "b", 5),
    ],
)
def test_a_key_that_is_there_twice_is_refused(tmp_path: Path, more: str, key: str, line: int) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(TEXT + more, encoding="utf-8")
    complaint = (
        f"config: found {key} a second time in {path}, line {line}, expected each key once; put what is below the"
    )
    with pytest.raises(UserError, match=re.escape(complaint)):
        parse(["index", "--config", str(path)])
