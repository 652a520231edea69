"""The pool's promises, kept by actors that write files, die, raise and hang."""

import os
import shutil
import signal
import socket
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.exceptions import ActorDiedError, RayTaskError, UnserializableException

from psol_ray.distributed import crew, pool
from psol_ray.distributed.pool import PoolStats, run_pool
from psol_ray.errors import UserError
from psol_ray.work.jobs import Job

from .pool_actors import Behaviour, actor_factory, begun, behave, done, hang_unless_first, job, jobs, plan

pytestmark = pytest.mark.usefixtures("cluster")

# Workers cannot import tests.
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])


def die_on_b(_: Path, name: str) -> None:
    if name == "b":
        os.kill(os.getpid(), signal.SIGKILL)


def wait_for_b(folder: Path, times: int) -> None:
    while begun(folder).count("b") < times:
        time.sleep(0.01)


def die_on_b_seen_to_die(folder: Path, name: str) -> None:
    """The actor of `a` is busy until the pool knows what `b` does, and so does not begin it as well."""
    if name == "a":
        wait_for_b(folder, 2)
    die_on_b(folder, name)


def die_on_b_begun_twice(folder: Path, name: str) -> None:
    """The first actor of `b` is slow to die, so that an idle one begins it as well."""
    if name == "b":
        wait_for_b(folder, 2)
    die_on_b(folder, name)


def die_once_on_b(folder: Path, name: str) -> None:
    if name == "b" and not (folder / "died").exists():
        (folder / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("num_actors", [1, 2, 9])
def test_does_every_job_and_tells_of_it_once(tmp_path: Path, num_actors: int) -> None:
    told: list[str] = []
    names = ("a", "b", "c", "d", "e")
    run_pool(actor_factory(tmp_path, behave), plan(num_actors), jobs(*names), on_done=lambda job: told.append(job.name))
    assert done(tmp_path) == set(names)
    assert sorted(told) == list(names)


def test_does_nothing_without_jobs(tmp_path: Path) -> None:
    run_pool(lambda *_: pytest.fail("started an actor"), plan(2), [])
    assert done(tmp_path) == set()


def test_begins_with_the_most_costly(tmp_path: Path) -> None:
    costs = {"small": 1, "large": 9, "middle": 5}
    run_pool(actor_factory(tmp_path, behave), plan(1), [job(name, cost) for name, cost in costs.items()])
    assert begun(tmp_path) == ["large", "middle", "small"]


def test_a_job_whose_actor_was_killed_is_done_again(tmp_path: Path) -> None:
    run_pool(actor_factory(tmp_path, die_once_on_b), plan(1), jobs("a", "b", "c"))
    assert done(tmp_path) == {"a", "b", "c"}
    assert begun(tmp_path).count("b") == 2
    # Where it dies again, what it has reported last says most of the cause.
    assert [path.stem for path in tmp_path.glob("*.careful")] == ["b"]


@pytest.mark.parametrize(
    ("behaviour", "num_actors", "times"),
    [(die_on_b, 1, 3), (die_on_b_seen_to_die, 2, 3), (die_on_b_begun_twice, 2, 4)],
)
def test_a_job_that_kills_its_actors_is_set_aside_and_no_other(
    tmp_path: Path, behaviour: Behaviour, num_actors: int, times: int
) -> None:
    """Two actors that have begun it before either's death is known count as one death."""
    with pytest.raises(UserError, match=r"1 parts were set aside .* \(b\); everything else is done"):
        run_pool(actor_factory(tmp_path, behaviour), plan(num_actors), jobs("a", "b", "c", "d", "e"))
    assert done(tmp_path) == {"a", "c", "d", "e"}
    assert begun(tmp_path).count("b") == times


def test_machines_that_leave_say_nothing_of_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As spot machines do, which a class may lose more often than it may kill its workers."""

    def die_four_times(folder: Path, name: str) -> None:
        if name == "b" and begun(folder).count("b") < 5:
            os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(pool, "find_nodes", list)  # when it is asked for them, they have left
    run_pool(actor_factory(tmp_path, die_four_times), plan(1), jobs("a", "b", "c"))
    assert done(tmp_path) == {"a", "b", "c"}
    monkeypatch.setattr(pool, "_MAX_LOST", 0)
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    with pytest.raises(UserError, match="1 parts were set aside"):
        run_pool(actor_factory(tmp_path, die_four_times), plan(1), jobs("a", "b", "c"))


def test_a_mistake_found_in_a_job_is_raised_as_it_is(tmp_path: Path) -> None:
    def refuse(_: Path, __: str) -> None:
        raise UserError("fix this")

    with pytest.raises(UserError) as raised:
        run_pool(actor_factory(tmp_path, refuse), plan(1), jobs("a", "b"))
    assert str(raised.value) == "fix this"
    assert begun(tmp_path)[0] == "a"


def test_a_defect_in_a_job_is_raised_and_not_tried_again(tmp_path: Path) -> None:
    def fail(_: Path, __: str) -> None:
        raise ZeroDivisionError

    with pytest.raises(RayTaskError, match="ZeroDivisionError"):
        run_pool(actor_factory(tmp_path, fail), plan(1), jobs("a"))
    assert begun(tmp_path) == ["a"]


def test_a_constructor_that_raises_ends_the_run(tmp_path: Path) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ActorDiedError, match="ZeroDivisionError"):
        run_pool(actor_factory(tmp_path, behave, fail), plan(2), jobs("a", "b"))


def test_constructors_that_die_end_the_run(tmp_path: Path) -> None:
    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(UserError, match="3 workers died while they started"):
        run_pool(actor_factory(tmp_path, behave, die), plan(1), jobs("a"))


def test_a_constructor_that_hangs_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crew, "START_SECONDS", 1.0)
    monkeypatch.setattr(pool, "_LOOK_SECONDS", 0.5)
    with pytest.raises(UserError, match="no worker has started within 1 s"):
        run_pool(actor_factory(tmp_path, behave, lambda: time.sleep(60)), plan(1), jobs("a"))


def test_one_actor_that_starts_is_enough(tmp_path: Path) -> None:
    started = time.monotonic()
    run_pool(actor_factory(tmp_path, behave, hang_unless_first(tmp_path)), plan(2), jobs("a", "b", "c", "d"))
    assert done(tmp_path) == {"a", "b", "c", "d"}
    assert time.monotonic() - started < 50


def test_an_interrupt_kills_the_actors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    actors = []
    make = actor_factory(tmp_path, behave)

    def remember(*place: Any) -> Any:
        actors.append(make(*place))
        return actors[-1]

    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pool.ray, "wait", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run_pool(remember, plan(1), jobs("a"))
    with pytest.raises(ActorDiedError):
        ray.get(actors[0].run.remote("process", "a", b"-"), timeout=30)


def wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.01)


def test_an_actor_holds_as_many_jobs_as_it_is_allowed(tmp_path: Path) -> None:
    def wait_for_the_other(folder: Path, name: str) -> None:
        (folder / f"{name}.here").touch()
        wait_for(folder / f"{'b' if name == 'a' else 'a'}.here")

    make = actor_factory(tmp_path, wait_for_the_other, jobs_at_once=2)
    run_pool(make, plan(1), jobs("a", "b"), jobs_per_worker=2)
    assert done(tmp_path) == {"a", "b"}


def test_of_two_jobs_in_one_actor_the_one_that_kills_it_is_set_aside(tmp_path: Path) -> None:
    def die_on_b_slowly(folder: Path, name: str) -> None:
        time.sleep(0.2)  # its neighbour is there by now
        die_on_b(folder, name)

    make = actor_factory(tmp_path, die_on_b_slowly, jobs_at_once=2)
    with pytest.raises(UserError, match=r"1 parts were set aside .* \(b\); everything else is done"):
        run_pool(make, plan(1), jobs("a", "b", "c", "d"), jobs_per_worker=2)
    assert done(tmp_path) == {"a", "c", "d"}
    assert begun(tmp_path).count("b") == 3
    assert max(begun(tmp_path).count(name) for name in "acd") <= 2


@pytest.mark.parametrize("jobs_per_worker", [1, 2])
def test_an_idle_actor_does_what_a_slow_one_holds(tmp_path: Path, jobs_per_worker: int) -> None:
    def hang_the_first_time(folder: Path, name: str) -> None:
        if name == "a" and not (folder / "hangs").exists():
            (folder / "hangs").touch()
            time.sleep(60)

    started = time.monotonic()
    run_pool(
        actor_factory(tmp_path, hang_the_first_time), plan(2), jobs("a", "b", "c"), jobs_per_worker=jobs_per_worker
    )
    assert done(tmp_path) == {"a", "b", "c"}
    assert time.monotonic() - started < 50


def test_what_follows_from_a_job_is_done_by_its_actor_and_before_others(tmp_path: Path) -> None:
    seen: dict[str, int] = {}

    def remember(name: str, pid: int) -> list[Job]:
        seen[name] = pid
        return []

    def go_on(name: str, first: Job, pid: int) -> list[Job]:
        seen[name] = pid
        second = f"{name}-second"
        return [job(second, then=partial(remember, second), follows=first)]

    firsts = []
    for name in ("a", "b"):
        first = job(name, 9, then=lambda pid, name=name: go_on(name, firsts["ab".index(name)], pid))
        firsts.append(first)
    run_pool(actor_factory(tmp_path, behave), plan(2), [*firsts, *jobs("y", "z")])
    assert done(tmp_path) == {"a", "b", "a-second", "b-second", "y", "z"}
    assert seen["a-second"] == seen["a"]
    assert seen["b-second"] == seen["b"]


def test_what_follows_from_a_job_is_done_though_its_actor_died(tmp_path: Path) -> None:
    def die_once_on_second(folder: Path, name: str) -> None:
        if name == "second" and not (folder / "died").exists():
            (folder / "died").touch()
            os.kill(os.getpid(), signal.SIGKILL)

    first = job("first", then=lambda _: [job("second", follows=first)])
    run_pool(actor_factory(tmp_path, die_once_on_second), plan(1), [first])
    assert done(tmp_path) == {"first", "second"}
    assert begun(tmp_path) == ["first", "second", "second"]


def test_tells_of_every_job_once(tmp_path: Path) -> None:
    told: list[str] = []
    run_pool(
        actor_factory(tmp_path, die_once_on_b),
        plan(2),
        jobs("a", "b", "c"),
        jobs_per_worker=2,
        on_done=lambda job: told.append(job.name),
    )
    assert sorted(told) == ["a", "b", "c"]


def test_says_what_happened(tmp_path: Path) -> None:
    stats, started = PoolStats(), time.time()
    run_pool(actor_factory(tmp_path, die_once_on_b), plan(1), jobs("a", "b", "c"), stats=stats)
    assert stats.jobs_done == 3
    assert stats.workers_started == 2
    assert len(stats.lost_at) == 1
    assert started < stats.lost_at[0] < time.time()
    assert stats.speculative_jobs == 0
    assert stats.steps > 0
    assert 0 < stats.seconds_waiting < stats.seconds < time.time() - started
    assert 0 < stats.worker_seconds < time.time() - started  # of one after the other


def test_seconds_of_workers_are_those_that_they_are_there(tmp_path: Path) -> None:
    """Of two that were planned the second never comes."""
    stats, started = PoolStats(), time.monotonic()
    start = actor_factory(tmp_path, lambda _, __: time.sleep(0.5), hang_unless_first(tmp_path))
    run_pool(start, plan(2), jobs("a", "b", "c"), stats=stats)
    assert stats.workers_started == 2
    assert 1.5 < stats.worker_seconds < time.monotonic() - started


def test_counts_what_is_done_twice(tmp_path: Path) -> None:
    def wait_for_two(folder: Path, name: str) -> None:
        while name == "a" and begun(folder).count("a") < 2:
            time.sleep(0.01)

    stats = PoolStats()
    run_pool(actor_factory(tmp_path, wait_for_two), plan(2), jobs("a", "b"), stats=stats)
    assert stats.jobs_done == 2
    assert stats.speculative_jobs == 1


class Unreadable(Exception):
    """Is unpickled by a call with one argument."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first + second)


def test_an_error_that_cannot_be_unpickled_is_no_death(tmp_path: Path) -> None:
    def fail(_: Path, __: str) -> None:
        raise Unreadable("one", "two")

    with pytest.raises(UnserializableException, match="Unreadable"):
        run_pool(actor_factory(tmp_path, fail), plan(1), jobs("a", "b"))
    assert begun(tmp_path).count("a") == 1


def test_an_environment_that_cannot_be_made_is_no_death(tmp_path: Path) -> None:
    make = actor_factory(tmp_path, behave, runtime_env={"working_dir": "file:///no/such/folder.zip"})
    with pytest.raises(UserError, match=r"Ray failed, and would fail again \(RuntimeEnvSetupError") as raised:
        run_pool(make, plan(1), jobs("a"))
    assert "\n" not in str(raised.value)


def test_what_a_frozen_actor_alone_may_do_is_done_by_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def freeze_once(folder: Path, name: str) -> None:
        if name == "a" and not (folder / "frozen").exists():
            (folder / "frozen").touch()
            os.kill(os.getpid(), signal.SIGSTOP)

    monkeypatch.setattr(crew, "FROZEN_SECONDS", 1.0)
    monkeypatch.setattr(pool, "_LOOK_SECONDS", 0.2)
    piece = job("a", 9, then=lambda _: [])  # not given twice
    run_pool(actor_factory(tmp_path, freeze_once), plan(2), [piece, job("b")], images_done=lambda: {"a": 5})
    assert done(tmp_path) == {"a", "b"}
    assert begun(tmp_path).count("a") == 2
    told = f"The worker on {socket.gethostname()} that did not get on with a is ended, and another does it"
    assert told in capsys.readouterr().err
