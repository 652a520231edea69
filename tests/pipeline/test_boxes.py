"""`psol boxes` draws the same boxes however the work is cut."""

from pathlib import Path

import pytest

from psol_ray.distributed import split

from .conftest import Run, assert_same_boxes, boxes_of
from .trees import cut_short, write_config, write_images


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, cluster: str) -> Run:
    """One actor, one pass: a class of 150 images and two small ones, some files damaged."""
    assert cluster
    folder = tmp_path_factory.mktemp("alone")
    root = write_images(folder / "images", ["red"], train=140, val=10)
    write_images(folder / "more", ["green", "blue"], train=9, val=3)
    for split_name in ("train", "val"):
        for name in ("green", "blue"):
            (folder / "more" / split_name / name).rename(root / split_name / name)
    cut_short(*(root / path for path in ("train/red/3.jpg", "train/red/70.jpg", "val/blue/1.jpg")))
    (root / "boxes.csv").unlink()
    run = Run(write_config(folder, root), folder / "run", root)
    assert run.psol("index") == 0
    assert run.psol("boxes", "--cluster.workers", "1") == 0
    assert boxes_of(run)["status"].to_pylist().count("unreadable") == 3
    return run


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(["--cluster.workers", "2"], id="two actors, one class split"),
        pytest.param(["--boxes.batch_size", "7"], id="other batches"),
        pytest.param(["--boxes.memory_gb", "1e-6"], id="read twice"),
        pytest.param(["--boxes.memory_gb", "1e-6", "--cluster.workers", "2"], id="split and read twice"),
        pytest.param(["--boxes.decode_threads", "1"], id="one thread"),
    ],
)
def test_same_boxes_however_the_work_is_cut(alone: Run, tmp_path: Path, flags: list[str]) -> None:
    run = Run(alone.config, tmp_path / "run", alone.root)
    assert run.psol("index") == 0
    assert run.psol("boxes", *flags) == 0
    assert_same_boxes(run, alone)


def test_large_class_is_split_among_actors(alone: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def spy(*arguments: object) -> object:
        jobs = split.jobs_of_class(*arguments)  # type: ignore[arg-type]
        seen.append(len(jobs))
        return jobs

    monkeypatch.setattr("psol_ray.pipeline.boxes.jobs_of_class", spy)
    run = Run(alone.config, tmp_path / "run", alone.root)
    assert run.psol("index") == 0
    assert run.psol("boxes", "--cluster.workers", "2") == 0
    assert sorted(seen) == [1, 1, 2]
