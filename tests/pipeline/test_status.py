"""`psol status`: what it says of real run directories, whoever works on them, and whatever a crash has left."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.fs as pafs
import pytest
from s3 import free_port, s3_server, uri
from synthetic.configs import write_config
from synthetic.images import write_images

from psol_ray.cli import main
from psol_ray.tables import RunDir

from .conftest import Run

# A run that is slow, so that somebody can look at it; beats come often, and part by part.
_SLOW = """
import os, sys, time
from psol_ray.cli import main
from psol_ray.generators.ddt.worker import DdtWorker
from psol_ray.tables import lease
from psol_ray.work import perform, progress

lease.BEAT_SECONDS, progress._POLL_SECONDS = 0.2, 0.1
process = DdtWorker.process

def slow(self, task):
    rows = process(self, task)
    if task.name != "part-blue":
        time.sleep(120)
    return rows

DdtWorker.process = slow
os._exit(main(sys.argv[1:]))  # not by way of the threads of the decoder
"""


@pytest.fixture
def show(capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """The lines that the command prints of these run directories."""

    def show(*run_dirs: Path | str) -> list[str]:
        capsys.readouterr()
        assert main(["status", *map(str, run_dirs)]) == 0
        return capsys.readouterr().out.splitlines()

    return show


def table(lines: list[str]) -> dict[str, list[str]]:
    """The cells of each stage that are not empty, without its name."""
    start = next(i for i, line in enumerate(lines) if line.startswith("stage "))
    rows = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines[start + 1 :]]
    return {row[0]: row[1:] for row in rows[: rows.index([]) if [] in rows else None]}


def details(lines: list[str], stage: str) -> list[str]:
    return [line.removeprefix(f"{stage}: ") for line in lines if line.startswith(f"{stage}: ")]


@pytest.fixture
def indexed(tmp_path: Path) -> Run:
    """A run of two classes that has a catalog."""
    root = write_images(tmp_path / "images", ["red", "blue"])
    run = Run(write_config(tmp_path, root), tmp_path / "run", root)
    assert run.psol("index") == 0
    return run


@pytest.fixture
def working(indexed: Run) -> Iterator[subprocess.Popen[bytes]]:
    """A process that draws its boxes, has written one class, and is stuck in the other."""
    flags = ["boxes", "--config", str(indexed.config), "--run_dir", str(indexed.run_dir)]
    process = subprocess.Popen([sys.executable, "-c", _SLOW, *flags])
    boxes = indexed.run_dir / "boxes"
    deadline = time.monotonic() + 120
    while not (boxes / "part-blue.parquet").exists() or progress_of(boxes).get("images") != 18:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    yield process
    process.kill()
    process.wait()


def progress_of(stage: Path) -> dict[str, Any]:
    path = stage / "_PROGRESS"
    return json.loads(path.read_text()) if path.exists() else {}


def test_of_a_run_that_is_complete_it_says_so(whole: Run, show: Any) -> None:
    lines = show(whole.run_dir)
    assert lines[0] == f"run       {whole.run_dir}"
    assert f"data {whole.root} (layout folder)" in lines[1]
    rows = table(lines)
    assert rows["catalog"][:2] == ["complete", "18"]
    assert rows["boxes"][:3] == ["complete", "2", "18"]
    assert rows["predictions"][:3] == ["complete", "1", "6"]
    assert rows["scores"][:2] == ["complete", "18"]
    fingerprint = RunDir(str(whole.run_dir)).stage("boxes").require().fingerprint
    assert rows["boxes"][-1] == fingerprint
    assert rows["heat"][:2] == ["complete", "2"]
    assert "maps" not in rows
    assert len(rows) == 8
    assert "another state" not in "".join(lines)


def test_of_a_fresh_run_it_says_what_has_not_begun(indexed: Run, show: Any) -> None:
    rows = table(show(indexed.run_dir))
    assert rows["catalog"][0] == "complete"
    assert {name: row for name, row in rows.items() if row == ["not begun"]}.keys() == {
        "boxes",
        "localizer",
        "classifier",
        "predictions",
        "scores",
    }


def test_of_a_run_that_works_it_says_who_and_how_far(indexed: Run, working: subprocess.Popen[bytes], show: Any) -> None:
    lines = show(indexed.run_dir)
    assert table(lines)["boxes"][:3] == ["running", "1/2", "18/18"]
    running, note = details(lines, "boxes")
    assert f"(process {working.pid}) since " in running
    assert "heard of 0 s ago" in running or "heard of 1 s ago" in running
    assert note == "Pseudo boxes (DDT): 1/2 classes"


def test_of_one_that_was_killed_it_says_when_it_was_last_heard_of(
    indexed: Run, working: subprocess.Popen[bytes], show: Any
) -> None:
    working.kill()
    working.wait()
    lines = show(indexed.run_dir)
    assert table(lines)["boxes"][:3] == ["interrupted", "1/2", "9/18"]
    (told,) = details(lines, "boxes")
    last = progress_of(indexed.run_dir / "boxes")["time"]
    assert told == f"ended without a word, killed perhaps; last heard of {last}; the same command goes on from here"


def test_of_one_that_was_interrupted_it_says_that(indexed: Run, working: subprocess.Popen[bytes], show: Any) -> None:
    working.send_signal(signal.SIGTERM)
    assert working.wait(60) == 130
    lines = show(indexed.run_dir)
    assert table(lines)["boxes"][0] == "interrupted"
    (told,) = details(lines, "boxes")
    assert told.startswith("interrupted 20")
    assert told.endswith("; the same command goes on from here")


def test_of_one_that_failed_it_says_of_what(indexed: Run, show: Any) -> None:
    (indexed.root / "train").rename(indexed.root / "elsewhere")
    (indexed.root / "train").mkdir()
    assert indexed.psol("boxes") == 2
    ended, away = details(show(indexed.run_dir), "boxes")
    assert ": boxes: 12 of 18 images cannot be opened (" in ended
    assert ended.startswith("ended 20")
    assert away.startswith("left out: 6 images that are away (train/")


def test_what_was_set_aside_and_left_out_is_told_with_its_causes(copy: Run, show: Any) -> None:
    boxes = copy.run_dir / "boxes"
    death = {"time": "2026-01-02 03:04:05", "host": "gpu-2", "cause": "killed:\nout of memory", "images_done": 3}
    suspects = {"next_after_the_last_reported": ["red/1.jpg", "red/2.jpg"], "most_pixels": []}
    record = {"job": "part-red", "part": "part-red", "images": 9, "deaths": [death] * 3, "suspects": suspects}
    (boxes / "set_aside.json").write_text(json.dumps([record]))
    away = {"a.jpg": "Input/output error", "b.jpg": "Input/output error", "c.jpg": "Stale file handle"}
    (boxes / "left_out.json").write_text(json.dumps({"away": away, "set_aside": ["red/1.jpg"]}))
    assert details(show(copy.run_dir), "boxes") == [
        "set aside: part-red (9 images): 3 workers died of it, the last on gpu-2 at 2026-01-02 03:04:05: killed: out of"
        " memory; suspects: red/1.jpg, red/2.jpg",
        "left out: 2 images that are away (a.jpg, b.jpg): Input/output error",
        "left out: 1 images that are away (c.jpg): Stale file handle",
        "left out: 1 images of parts that were set aside",
    ]


def test_what_was_made_from_an_older_catalog_is_told(indexed: Run, show: Any) -> None:
    assert indexed.psol("boxes") == 0
    assert details(show(indexed.run_dir), "boxes") == []
    shutil.copy(indexed.root / "train/red/0.jpg", indexed.root / "train/red/new.jpg")
    assert indexed.psol("index", "--overwrite") == 0
    assert details(show(indexed.run_dir), "boxes") == [
        "made from another state of catalog; `psol boxes --overwrite` makes it anew"
    ]
    # The same command would not go on.
    (indexed.run_dir / "boxes/_SUCCESS").unlink()
    assert details(show(indexed.run_dir), "boxes")[0] == "ended without a word, killed perhaps"
    assert indexed.psol("boxes", "--overwrite") == 0
    assert details(show(indexed.run_dir), "boxes") == []


def test_every_stage_that_was_made_from_older_ones_is_told(copy: Run, show: Any) -> None:
    assert copy.psol("boxes", "--boxes.upsample", "nearest", "--overwrite") == 0
    lines = [line for line in show(copy.run_dir) if "another state" in line]
    assert lines == [
        "localizer: made from another state of boxes; `psol train localizer --overwrite` makes it anew",
        "scores: made from another state of boxes; `psol evaluate` makes it anew",
    ]


def test_scores_of_older_ground_truth_are_told(copy: Run, show: Any) -> None:
    success = copy.run_dir / "catalog/_SUCCESS"
    made_by = json.loads(success.read_text())
    made_by["details"]["truth"] = "other"
    success.write_text(json.dumps(made_by))
    lines = [line for line in show(copy.run_dir) if "another state" in line]
    assert lines == ["scores: made from another state of catalog; `psol evaluate` makes it anew"]


def test_a_training_says_where_its_curves_end(copy: Run, show: Any) -> None:
    (copy.run_dir / "localizer" / "_SUCCESS").unlink()
    with (copy.run_dir / "localizer" / "metrics.jsonl").open("a") as curves:
        curves.write('{"step": 99, "epo')
    lines = show(copy.run_dir)
    assert table(lines)["localizer"][0] == "interrupted"
    assert details(lines, "localizer")[1].startswith("step 6, epoch 2.00 of 2: loss ")


def test_a_file_that_is_gone_from_a_complete_stage_is_named(copy: Run, show: Any) -> None:
    (copy.run_dir / "boxes" / "part-red.parquet").unlink()
    lines = show(copy.run_dir)
    assert table(lines)["boxes"][:3] == ["damaged", "1/2", "9/18"]
    assert details(lines, "boxes") == ["part-red.parquet missing or of another size; `psol boxes` makes them again"]


@pytest.mark.parametrize("content", [b"", b"\0" * 500, b"\xff\xfe{", b'{"a', b"[]", b"7", b'{"config": 3}'])
def test_files_that_are_cut_short_or_zeros_say_nothing(copy: Run, show: Any, content: bytes) -> None:
    for path in copy.run_dir.rglob("*"):
        if path.is_file():
            path.write_bytes(content)
    for name in ("_LEASE", "_PROGRESS", "left_out.json", "set_aside.json"):
        (copy.run_dir / "boxes" / name).write_bytes(content)
    rows = table(show(copy.run_dir))
    says_nothing = {"unclaimed", "interrupted", "not begun"}
    # What claims to be complete, and lists no files, is taken at its word.
    allowed = says_nothing | ({"complete"} if content == b'{"config": 3}' else set())
    assert {row[0] for name, row in rows.items() if name != "all"} <= allowed


def test_a_holder_on_another_machine_lives_as_long_as_it_beats(
    copy: Run, show: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    boxes = copy.run_dir / "boxes"
    (boxes / "_SUCCESS").unlink()
    holder = {"token": "t", "user": "ann", "host": "far", "place": "far", "pid": 1, "started": "1", "since": "noon"}
    lease = boxes / "_LEASE"
    lease.write_text(json.dumps({**holder, "beat": 7}))
    progress = {"token": "t", "images": 12, "total": 18, "images_per_s": 0.5, "quiet_s": 180, "workers": {"gpu-1": 8}}
    (boxes / "_PROGRESS").write_text(json.dumps(progress))
    lines = show(copy.run_dir)
    assert table(lines)["boxes"][:5] == ["running", "2/2", "18/18", "0.5", "12 s"]
    assert details(lines, "boxes")[1:] == [
        "nothing has been done for 3 min",
        "workers: 8 on gpu-1; 0 jobs are worked on, 0 wait",
    ]
    # An hour ago, and no beat while it is watched.
    os.utime(lease, (time.time() - 3600,) * 2)
    monkeypatch.setattr("psol_ray.report.stage_status.BEAT_SECONDS", 0.1)
    assert table(show(copy.run_dir))["boxes"][0] == "interrupted"


def test_several_runs_are_told_one_after_the_other(whole: Run, indexed: Run, show: Any) -> None:
    lines = show(whole.run_dir, indexed.run_dir)
    assert [line for line in lines if line.startswith("run  ")] == [
        f"run       {whole.run_dir}",
        f"run       {indexed.run_dir}",
    ]


def test_a_run_in_a_store_is_told_without_its_secrets(whole: Run, show: Any, tmp_path: Path) -> None:
    port = free_port()
    with s3_server(port, "bucket", tmp_path / "failing"):
        address = uri(port, "bucket/cub")
        there = RunDir(address)
        pafs.copy_files(str(whole.run_dir), f"{there.location}", destination_filesystem=there.stage("boxes").fs)
        lines = show(address)
    assert lines[0] == "run       s3://bucket/cub"
    here = show(whole.run_dir)
    assert table(lines) == table(here)
    assert "secret" not in "".join(lines)


def test_where_there_is_no_run_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", str(tmp_path)]) == 2
    told = f"psol status: {tmp_path}: found no run there, expected the run_dir of one; give another\n"
    assert capsys.readouterr().err == told


def test_it_needs_neither_torch_nor_ray(whole: Run) -> None:
    code = (
        "import sys; from psol_ray.cli import main; assert main(sys.argv[1:]) == 0;"
        " assert not {'torch', 'ray', 'timm'} & sys.modules.keys(), 'loaded'"
    )
    done = subprocess.run([sys.executable, "-c", code, "status", str(whole.run_dir)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
