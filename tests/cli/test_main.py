"""Bad input through the command line: exit code 2, one line, no traceback."""

import errno
import os
import socket
import time
from pathlib import Path

import pytest
import ray
import safetensors.torch
import torch
from PIL import Image

from psol_ray import cli
from psol_ray.cli import main

IN_PROCESS = ("--cluster.address", "in-process")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes of two images."""
    for name in ("blue", "red"):
        folder = tmp_path / "images" / "train" / name
        folder.mkdir(parents=True)
        for i in range(2):
            Image.new("RGB", (40, 30), name).save(folder / f"{i}.jpg")
    return tmp_path / "images"


class Psol:
    """Runs commands on one run directory and returns the one line that they complain in."""

    def __init__(self, root: Path, run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._flags = ("--run_dir", str(run_dir), "--data.root", str(root))
        self._network = ("--boxes.backbone", "test_resnet", "--boxes.weights", "random", "--boxes.input_size", "64")
        self._capsys = capsys

    def __call__(self, command: str, *flags: str) -> int:
        return main([command, *self._flags, *self._network, *flags])

    def complaint(self, command: str, *flags: str) -> str:
        self._capsys.readouterr()
        assert self(command, *flags) == 2
        lines = self._capsys.readouterr().err.splitlines()
        assert len(lines) == 1, lines
        assert lines[0].startswith("psol")
        assert "Traceback" not in lines[0]
        return lines[0]


@pytest.fixture
def psol(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Psol:
    return Psol(root, tmp_path / "run", capsys)


def test_a_folder_that_is_not_there(psol: Psol, tmp_path: Path) -> None:
    assert str(tmp_path / "nowhere") in psol.complaint("index", "--data.root", str(tmp_path / "nowhere"))


def test_a_misspelt_field_in_yaml(psol: Psol, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("boxes: {input_sise: 3}\n")
    complaint = psol.complaint("boxes", "--config", str(tmp_path / "a.yaml"))
    assert complaint.startswith("psol boxes: boxes.input_sise: found an unknown field, expected one of boxes.")


def test_an_impossible_value(psol: Psol) -> None:
    complaint = psol.complaint("boxes", "--boxes.input_size", "-1")
    assert complaint == "psol boxes: boxes.input_size: found -1, expected a whole number above 0"


def test_a_class_folder_without_images(psol: Psol, root: Path) -> None:
    (root / "train" / "green").mkdir()
    assert "green" in psol.complaint("index")


def test_a_run_dir_that_is_a_file(psol: Psol, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    complaint = psol.complaint("index")
    assert str(tmp_path / "run") in complaint
    assert "cannot be written" in complaint


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        (("boxes",), "index"),
        (("train", "localizer"), "index"),
        (("predict",), "index"),
        (("evaluate",), "index"),
        (("export",), "predict"),
    ],
)
def test_a_stage_out_of_order(psol: Psol, command: tuple[str, ...], wanted: str) -> None:
    weights = ("--localizer.backbone", "test_resnet", "--localizer.weights", "random")
    assert psol.complaint(command[0], *weights, *command[1:]).endswith(f"run `psol {wanted}` first")


class TestAfterIndex:
    """Mistakes that show only once there is a catalog."""

    @pytest.fixture(autouse=True)
    def _index(self, psol: Psol) -> None:
        assert psol("index", *IN_PROCESS) == 0

    @pytest.mark.parametrize("command", ["boxes", "run"])
    def test_an_unknown_backbone(self, psol: Psol, command: str) -> None:
        # Where Ray is to be started, that is begun first, which takes as long as to import what knows the names.
        complaint = psol.complaint(command, "--boxes.backbone", "resnet5O", *IN_PROCESS)
        assert "boxes.backbone: backbone 'resnet5O' is unknown" in complaint

    def test_weights_of_another_network(self, psol: Psol, tmp_path: Path) -> None:
        file = tmp_path / "other.safetensors"
        safetensors.torch.save_file({"conv1.weight": torch.zeros(1)}, file)
        complaint = psol.complaint("boxes", "--boxes.weights", str(file), *IN_PROCESS)
        assert "are those of another network" in complaint
        assert str(file) in complaint

    def test_weights_that_are_no_weights(self, psol: Psol, tmp_path: Path) -> None:
        (tmp_path / "weights.pth").write_bytes(b"no weights")
        complaint = psol.complaint("boxes", "--boxes.weights", str(tmp_path / "weights.pth"), *IN_PROCESS)
        assert "cannot be read" in complaint

    def test_another_configuration_in_the_same_folder(self, psol: Psol) -> None:
        other = ("--data.coordinates", "pixels")
        complaint = psol.complaint("index", *other, *IN_PROCESS)
        assert "found " in complaint
        assert "expected " in complaint
        assert "--overwrite" in complaint
        found, expected = (complaint.split(word)[1][:16] for word in ("found ", "expected "))
        assert len({found, expected}) == 2
        assert all(int(fingerprint, 16) for fingerprint in (found, expected))
        assert psol("index", *other, *IN_PROCESS, "--overwrite") == 0

    def test_an_error_of_the_machine_that_nobody_has_foreseen(
        self, psol: Psol, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: object) -> None:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), "/data/x")

        monkeypatch.setattr("psol_ray.pipeline.boxes.boxes", fail)
        assert psol.complaint("boxes") == "psol boxes: /data/x: Too many open files; fix that, and run it again"

    @pytest.mark.usefixtures("cluster")
    def test_more_workers_than_the_machine_has(self, psol: Psol) -> None:
        complaint = psol.complaint("boxes", "--cluster.workers", "3")
        assert "cluster.workers: 3 were asked for and the cluster has 2 CPUs" in complaint

    def test_a_cluster_that_does_not_answer(self, psol: Psol, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ray, "is_initialized", lambda: False)
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{silent.getsockname()[1]}"
            started = time.monotonic()
            complaint = psol.complaint("boxes", "--cluster.address", address)
        assert f"cluster.address: no Ray cluster answers at '{address}'" in complaint
        assert time.monotonic() - started < 15


@pytest.mark.parametrize(
    ("command", "flags", "emptied", "told"),
    [
        ("boxes", (), set(), "the same command goes on"),
        ("boxes", ("--overwrite",), set(), "the same command goes on"),
        # Else it would begin anew what it has just begun.
        ("boxes", ("--overwrite",), {"boxes"}, "the same command without --overwrite goes on"),
        # Else old boxes, which are complete, would stay.
        ("run", ("--overwrite",), {"catalog"}, "the same command goes on"),
        ("run", ("--overwrite",), {"catalog", "boxes", "predictions"}, "the same command without --overwrite goes on"),
    ],
)
def test_an_interrupt_says_how_to_go_on(
    command: str,
    flags: tuple[str, ...],
    emptied: set[str],
    told: str,
    psol: Psol,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def interrupt(_: object, so_far: set[str]) -> None:
        so_far |= emptied
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_call", interrupt)
    assert psol(command, *flags) == 130
    assert capsys.readouterr().err == f"psol {command}: interrupted; {told} from here\n"
