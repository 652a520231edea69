"""In what order a pool's workers are given jobs, with actors that do nothing and answers as the test wants them."""

from typing import Any

import pyarrow as pa
import pytest

from psol_ray.distributed import crew as crew_module
from psol_ray.distributed import pool as module
from psol_ray.distributed import slots as slots_module
from psol_ray.distributed.cluster import WorkerPlan
from psol_ray.distributed.crew import Crew
from psol_ray.distributed.pool_worker import PoolWorker
from psol_ray.distributed.shares import Node, divide_gpus
from psol_ray.work.jobs import Job

NODES = [Node("a" * 56, 3, 3)]


class Actor:
    """Notes what it is given."""

    def __init__(self, number: int, log: list[str]) -> None:
        self.number, self.log = number, log

    @property
    def __ray_call__(self) -> Any:
        return _Method(lambda _: f"start {self.number}")

    @property
    def run(self) -> Any:
        return _Method(lambda _, name, *__: self._note(name))

    def _note(self, name: str) -> str:
        self.log.append(f"{self.number} {name}")
        return f"run {name}"


class _Method:
    def __init__(self, call: Any) -> None:
        self.remote = call


class Cluster:
    """Three workers, and the answers in the order in which they are ready: None is a look that finds none."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *answers: str | None) -> None:
        self.given: list[str] = []
        self._answers = list(answers)
        self._actors = 0
        monkeypatch.setattr(slots_module, "find_nodes", lambda: NODES)
        monkeypatch.setattr(crew_module.ray, "kill", lambda _: None)
        monkeypatch.setattr(module.ray, "get", lambda answer: ("a" * 56, "host") if answer.startswith("start") else 0)
        monkeypatch.setattr(module, "_wait", self._wait)

    def run(self, **sizes: int) -> list[str]:
        """What workers were given, by the time that the answers are over."""
        jobs = [Job(name, pa.table({"image_id": [""] * size})) for name, size in sizes.items()]
        with pytest.raises(StopIteration):
            module.run_pool(self._start, WorkerPlan(3, 3, 1, shares=divide_gpus(NODES)), jobs, jobs_per_worker=2)
        return self.given

    def _start(self, *_: Any) -> Any:
        self._actors += 1
        return Actor(self._actors, self.given)

    def _wait(self, awaited: list[str], seconds: float) -> str | None:
        if not self._answers:
            raise StopIteration
        answer = self._answers.pop(0)
        assert answer in awaited if answer else seconds == 0, "whoever looks in between does not wait"
        return answer


def test_who_has_started_is_given_a_job_before_another_is_given_two(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch, "start 1", "start 2", None, "start 3")
    assert cluster.run(a=9, b=8, c=7, d=6, e=5, f=4) == ["1 a", "2 b", "2 c", "3 d", "3 e", "1 f"]


def test_the_last_job_is_left_to_who_is_free_first(monkeypatch: pytest.MonkeyPatch) -> None:
    def last_one_first(crew: Crew) -> list[PoolWorker]:
        return [worker for worker in reversed(crew.workers) if worker.starting is None]

    monkeypatch.setattr(Crew, "by_free", last_one_first)
    cluster = Cluster(monkeypatch, "start 1", "start 2", "start 3", "run a", "run c")
    given = cluster.run(a=9, b=8, c=7, d=6, e=5, f=4, g=3)
    assert given == ["1 a", "2 b", "3 c", "3 d", "2 e", "1 f", "3 g"]


def test_who_has_nothing_to_do_also_does_what_will_be_done_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Crew, "by_late", lambda crew: [crew.workers[1], crew.workers[0], crew.workers[2]])
    cluster = Cluster(monkeypatch, "start 1", "start 2", "start 3", "run c")
    assert cluster.run(a=9, b=8, c=7) == ["1 a", "2 b", "3 c", "3 b"]
