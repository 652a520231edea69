"""Images that are away for the pool's actors: done elsewhere, done without, or told of."""

import os
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import ray
from synthetic.tables import catalog_of, image

from psol_ray.distributed import crew, pool
from psol_ray.distributed.pool import run_pool
from psol_ray.errors import ImagesAway, UserError
from psol_ray.work.jobs import Job
from psol_ray.work.left_out import LeftOut

from .pool_actors import actor_factory, begun, done, hang_unless_first, jobs, plan

pytestmark = pytest.mark.usefixtures("cluster")

# Workers cannot import tests.
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])


def away_on_first_node(folder: Path, _: str) -> Any:
    """Every image is away on the node of the first actor that there was."""
    first = folder / "first"
    with suppress(FileExistsError), first.open("x") as file:
        file.write(str(os.getpid()))
    while not (owner := first.read_text()):
        time.sleep(0.01)
    return ImagesAway(["a.jpg"], "No such file or directory") if owner == str(os.getpid()) else None


def test_a_job_whose_images_are_away_is_done_on_another_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Each actor takes itself for a node of its own.
    monkeypatch.setattr(crew, "where", lambda _: (str(os.getpid()), f"host-{os.getpid()}"))
    hosts = run_pool(actor_factory(tmp_path, away_on_first_node), plan(2), jobs("a", "b", "c", "d"))
    assert done(tmp_path) == {"a", "b", "c", "d"}
    blind = (tmp_path / "first").read_text()
    assert f"host-{blind}" not in hosts
    assert len(hosts) == 1
    told = capsys.readouterr().err
    assert told.count(f"On host-{blind} 1 images cannot be opened (a.jpg: No such file or directory)") == 1


def test_a_job_whose_images_are_away_on_every_node_is_done_without_them_or_ends_the_run(tmp_path: Path) -> None:
    def away(_: Path, name: str) -> Any:
        return ImagesAway([name], "No such file or directory") if name == "b" else None

    with pytest.raises(UserError, match=rf"1 of 9 images cannot be opened on {socket.gethostname()} \(b: No such"):
        run_pool(actor_factory(tmp_path, away), plan(2), jobs("a", "b", "c"), left_out=LeftOut(None, 9, 0.1))
    run_pool(actor_factory(tmp_path, away), plan(2), jobs("a", "b", "c"), left_out=LeftOut(None, 9, 0.2))
    assert done(tmp_path) == {"a", "b", "c"}
    assert (tmp_path / "b.without").read_text() == "b"


def test_an_image_that_one_node_sees_is_not_left_out_because_another_tried_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def see_some(folder: Path, _: str) -> Any:
        with suppress(FileExistsError):
            (folder / "first").touch(exist_ok=False)
            (folder / f"{os.getpid()}.first").touch()
        is_first = (folder / f"{os.getpid()}.first").exists()
        return ImagesAway(["x"] if is_first else ["x", "y"], "No such file or directory")

    monkeypatch.setattr(crew, "where", lambda _: (str(os.getpid()), f"host-{os.getpid()}"))
    both, left_out = Job("a", catalog_of(image("x"), image("y"))), LeftOut(None, 9, 1.0)
    run_pool(actor_factory(tmp_path, see_some), plan(2), [both], left_out=left_out)
    assert set(left_out.away) == {"x"}


def test_images_that_are_away_do_not_wait_long_for_a_worker_that_cannot_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one that waits for a GPU that others use."""
    monkeypatch.setattr(crew, "_HOPE_SECONDS", 1.0)
    monkeypatch.setattr(pool, "_LOOK_SECONDS", 0.2)

    def away(_: Path, name: str) -> Any:
        return ImagesAway([name], "No such file or directory") if name == "b" else None

    started = time.monotonic()
    make = actor_factory(tmp_path, away, hang_unless_first(tmp_path))
    run_pool(make, plan(2), jobs("a", "b", "c"), left_out=LeftOut(None, 9, 0.2))
    assert (tmp_path / "b.without").read_text() == "b"
    assert time.monotonic() - started < 30


def test_a_job_that_only_meets_images_of_others_that_are_away_is_done_again(tmp_path: Path) -> None:
    def meet_once(folder: Path, name: str) -> Any:
        meets = name == "b" and begun(folder).count("b") < 3
        return ImagesAway([], "No such file or directory") if meets else None

    run_pool(actor_factory(tmp_path, meet_once), plan(1), jobs("a", "b", "c"))
    assert done(tmp_path) == {"a", "b", "c"}
    assert not list(tmp_path.glob("*.without"))
