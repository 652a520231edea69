"""The weights a run begins with: there, or to be had, or not."""

from pathlib import Path

import pytest

from psol_ray.models.weights_id import hash_bytes
from psol_ray.preflight import weights as module
from psol_ray.preflight.findings import Finding
from psol_ray.preflight.weights import check_weights

VGG16 = "vgg16-397923af.pth"


def check(backbone: str, weights: str) -> Finding:
    (finding,) = check_weights({"boxes": (backbone, weights)})
    return finding


def test_a_file_by_its_hash(tmp_path: Path) -> None:
    (tmp_path / "mine.pth").write_bytes(b"weights")
    found = check("vgg16", str(tmp_path / "mine.pth"))
    assert (found.value, found.verdict) == (f"mine.pth ({hash_bytes(b'weights')})", "good")


def test_a_file_that_is_not_there() -> None:
    finding = check("vgg16", "nowhere.pth")
    assert finding.verdict == "broken"
    assert "boxes: weights 'nowhere.pth': no such file" in finding.remedy


def test_a_download_that_was_made_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    (tmp_path / "hub" / "checkpoints" / VGG16).touch()
    assert check("vgg16", "default") == Finding("weights, boxes", f"default, {VGG16} is there")


def test_a_download_that_cannot_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(module, "_place_of_default", lambda *_: (None, "http://127.0.0.1:1/vgg16.pth"))
    finding = check("vgg16", "default")
    assert finding.verdict == "broken"
    assert "http://127.0.0.1:1/vgg16.pth does not answer" in finding.remedy
    assert "give the file as boxes.weights" in finding.remedy
