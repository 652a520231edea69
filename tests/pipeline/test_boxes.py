"""`psol boxes` draws the same boxes however the work is cut."""

from pathlib import Path
from typing import Any

import pytest
from synthetic.configs import write_config
from synthetic.images import cut_short, write_images

from psol_ray.generators.ddt import split

from .conftest import ON_RAY, Run, assert_same_boxes, boxes_of


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One worker, one pass: a class of 150 images and two small ones, some files damaged."""
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
    assert run.psol("boxes") == 0
    assert boxes_of(run)["status"].to_pylist().count("unreadable") == 3
    return run


def spy_on_jobs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many jobs each class begins with."""
    seen: list[int] = []
    jobs_of_class = split.jobs_of_class

    def spy(*arguments: Any) -> Any:
        jobs = jobs_of_class(*arguments)
        seen.append(len(jobs))
        return jobs

    monkeypatch.setattr(split, "jobs_of_class", spy)
    return seen


@pytest.mark.parametrize(
    "flags",
    [
        pytest.param([*ON_RAY, "--cluster.workers", "2"], id="two actors, one class split"),
        pytest.param(["--boxes.batch_size", "7"], id="other batches"),
        pytest.param(["--boxes.memory_gb", "1e-6"], id="read twice"),
        pytest.param([*ON_RAY, "--boxes.memory_gb", "1e-6", "--cluster.workers", "2"], id="split and read twice"),
        pytest.param(["--boxes.decode_threads", "1"], id="one thread"),
    ],
)
def test_same_boxes_however_the_work_is_cut(
    alone: Run, tmp_path: Path, cluster: str, flags: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cluster
    seen = spy_on_jobs(monkeypatch)
    run = Run(alone.config, tmp_path / "run", alone.root)
    assert run.psol("index") == 0
    assert run.psol("boxes", *flags) == 0
    assert_same_boxes(run, alone)
    # A class larger than a worker's share is cut in two.
    assert sorted(seen) == ([1, 1, 2] if "--cluster.workers" in flags else [1, 1, 1])
