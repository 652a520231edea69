"""`psol doctor` on this machine alone; tests/distributed/test_examination.py has a cluster."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from s3 import free_port, guarded, s3_server, uri
from synthetic.configs import write_config
from synthetic.images import write_images

from psol_ray.cli import main

from .conftest import ON_RAY


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "150")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path, write_images(tmp_path / "images", ["red", "blue"]))


def doctor(config: Path, *flags: str) -> int:
    return main(["doctor", "--config", str(config), *flags])


def test_a_machine_on_which_all_will_work(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor(config) == 0
    shown = capsys.readouterr().out
    assert f"one machine, run_dir {config.parent}/run" in shown
    rows = {line.split("│")[1].strip(): line.split("│")[2].strip() for line in shown.splitlines() if "│" in line}
    assert {"Python", "torch", "psol_ray", "JPEG decoder", "GPUs", "memory free", "data, files read"} <= rows.keys()
    assert rows["weights, boxes"] == "random"
    assert "Will not work" not in shown
    assert not (config.parent / "run").exists()


def test_what_will_not_work_is_listed_with_exit_code_2(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor(config, "--run_dir", f"{config}/run", "--localizer.weights", "nowhere.pth") == 2
    shown = capsys.readouterr()
    listed = shown.out.partition("Will not work\n")[2].splitlines()
    assert listed[0].startswith(f"- this machine: {config}/run: a small file cannot be written (")
    assert "localizer: weights 'nowhere.pth': no such file" in listed[1]
    assert shown.err == ("psol doctor: found 2 things that will not work, listed above; mend that, and run it again\n")


def test_data_that_are_not_there(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor(config, "--data.root", "/nowhere") == 2
    assert "- this machine: no image was found in data.root /nowhere" in capsys.readouterr().out


@pytest.fixture(scope="module")
def read_only(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A URI in a bucket that may be read and not written."""
    port, failing = free_port(), tmp_path_factory.mktemp("s3") / "failing"
    with s3_server(port, "bucket", failing), guarded(port, failing, "s3:GetObject", "s3:ListBucket") as credentials:
        yield uri(port, "bucket/run", credentials)


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize("flags", [(), ON_RAY], ids=["in process", "on Ray"])
def test_a_bucket_without_write_permission(
    config: Path, read_only: str, flags: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor(config, "--run_dir", read_only, *flags) == 2
    shown = capsys.readouterr()
    (complaint,) = (line for line in shown.out.splitlines() if "ACCESS_DENIED" in line)
    assert "give credentials that may read, write, list and delete there" in complaint
    # Said of whoever has it, in one line, and nothing is tried again.
    assert ("this process" in complaint) is bool(flags)
    assert "clock, off the store's" in shown.out
    assert "trying again" not in shown.err
    assert read_only.partition(":")[2].partition("@")[0] not in shown.out + shown.err
