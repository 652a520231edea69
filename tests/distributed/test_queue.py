"""Who is given what next, decided without a single actor."""

import pyarrow as pa

from psol_ray.distributed.queue import MAX_DEATHS, JobQueue
from psol_ray.work.jobs import Job


def job(name: str, cost: int = 1, **more: object) -> Job:
    return Job(name, pa.table({"image_id": [""] * cost}), **more)  # type: ignore[arg-type]


def test_the_most_costly_is_first_and_equals_go_by_name() -> None:
    queue = JobQueue([job("b"), job("big", 9), job("a")])
    assert [queue.take("w", ["w"], is_idle=True).name for _ in range(3)] == ["big", "a", "b"]  # type: ignore[union-attr]
    assert queue.take("w", ["w"], is_idle=True) is None


def test_what_follows_comes_before_all_others() -> None:
    first = job("first", 2, then=lambda answer: [job(f"{answer} 1"), job(f"{answer} 2")])
    queue = JobQueue([first, job("other", 1)])
    taken = queue.take("w", ["w"], is_idle=True)
    assert taken is first
    queue.finish(first, "w", "next")
    assert [waiting.name for waiting in queue.waiting] == ["next 1", "next 2", "other"]


def test_what_follows_goes_to_the_actor_that_keeps_something_for_it() -> None:
    first = job("first", then=lambda _: [job("second", follows=first)])
    other = job("other")
    queue = JobQueue([first])
    queue.take("keeper", ["keeper", "w"], is_idle=True)
    queue.waiting.append(other)
    queue.finish(first, "keeper", None)
    assert queue.take("w", ["keeper", "w"], is_idle=True) is other
    assert queue.take("w", ["keeper", "w"], is_idle=True) is None
    assert queue.take("keeper", ["keeper", "w"], is_idle=True).name == "second"  # type: ignore[union-attr]


def test_what_follows_goes_to_anybody_once_its_keeper_is_gone() -> None:
    first = job("first", then=lambda _: [job("second", follows=first)])
    queue = JobQueue([first])
    queue.take("keeper", ["keeper"], is_idle=True)
    queue.finish(first, "keeper", None)
    assert queue.take("w", ["w"], is_idle=True).name == "second"  # type: ignore[union-attr]


def test_a_suspect_waits_for_an_actor_of_its_own() -> None:
    suspect, other = job("suspect", 9), job("other")
    queue = JobQueue([suspect, other])
    queue.take("w", ["w"], is_idle=True)
    queue.requeue(suspect)
    assert queue.waiting == [other, suspect]
    assert queue.take("w", ["w"], is_idle=False) is other
    assert queue.take("w", ["w"], is_idle=False) is None
    assert queue.take("w", ["w"], is_idle=True) is suspect


def test_a_part_is_quarantined_after_a_cap_and_named_once() -> None:
    pieces = [job("x 1/2", part="x"), job("x 2/2", part="x")]
    queue = JobQueue(list(pieces))
    queue.waiting.clear()
    for death in range(1, MAX_DEATHS + 1):
        for piece in pieces:
            queue.requeue(piece)
        assert len(queue.waiting) == (2 * death if death < MAX_DEATHS else 2 * (MAX_DEATHS - 1))
    assert queue.quarantined() == ["x"]
