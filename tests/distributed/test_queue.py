"""Who is given what next, decided without a single actor."""

import pyarrow as pa
import pytest

from psol_ray.distributed.queue import MAX_DEATHS, Death, JobQueue
from psol_ray.errors import ImagesAway
from psol_ray.work.jobs import Job

DEATH = Death(1e9, "host", "Ray killed it")
AWAY = ImagesAway(["1.jpg"], "No such file or directory")


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


def names_taken(queue: JobQueue, *places: int) -> list[str | None]:
    """What is given to workers that are busy, so many of which will be free before each."""
    taken = [queue.take("w", ["w"], is_idle=False, place=place) for place in places]
    return [job and job.name for job in taken]


def test_who_is_free_later_leaves_the_larger_ones_to_those_who_are_free_before() -> None:
    queue = JobQueue([job("a", 4), job("b", 3), job("c", 2), job("d", 1)])
    assert names_taken(queue, 2, 0, 1) == ["c", "a", "d"]
    assert names_taken(queue, 1, 3) == [None, None]
    assert queue.take("idle", ["idle"], is_idle=True).name == "b"  # type: ignore[union-attr]


def test_what_follows_and_what_was_given_back_is_left_to_nobody() -> None:
    first, second = job("first", 9, then=lambda _: [job("follows")]), job("second", 8)
    queue = JobQueue([first, second, job("other", 1)])
    assert names_taken(queue, 0, 0) == ["first", "second"]
    queue.finish(first, "w", None)
    queue.give_back(second)
    assert names_taken(queue, 5, 5, 5) == ["second", "follows", None]


def test_a_suspect_waits_for_an_actor_of_its_own() -> None:
    suspect, other = job("suspect", 9), job("other")
    queue = JobQueue([suspect, other])
    queue.take("w", ["w"], is_idle=True)
    queue.requeue(suspect, DEATH)
    assert queue.waiting == [other, suspect]
    assert queue.take("w", ["w"], is_idle=False) is other
    assert queue.take("w", ["w"], is_idle=False) is None
    assert queue.take("w", ["w"], is_idle=True) is suspect


def test_a_part_is_set_aside_after_a_cap_and_named_once() -> None:
    pieces = [job("x 1/2", part="x"), job("x 2/2", part="x")]
    queue = JobQueue(list(pieces))
    queue.waiting.clear()
    for death in range(1, MAX_DEATHS + 1):
        for piece in pieces:
            queue.requeue(piece, DEATH)
        assert len(queue.waiting) == (2 * death if death < MAX_DEATHS else 2 * (MAX_DEATHS - 1))
    assert queue.set_aside() == ["x"]


def test_a_job_that_was_set_aside_and_is_revived_is_done_alone_and_may_die_as_often_again() -> None:
    killer = job("killer")
    queue = JobQueue([killer])
    queue.waiting.clear()
    for _ in range(MAX_DEATHS):
        queue.requeue(killer, DEATH)
    assert queue.deaths(killer) == [DEATH] * MAX_DEATHS
    queue.waiting.clear()
    queue.revive(killer)
    assert queue.set_aside() == []
    assert queue.take("w", ["w"], is_idle=False) is None
    assert queue.take("w", ["w"], is_idle=True) is killer
    for _ in range(MAX_DEATHS):
        queue.requeue(killer, DEATH)
    assert queue.set_aside() == ["killer"]


def take_on(queue: JobQueue, node: str, *nodes: str) -> str | None:
    """The name of what a worker on this node is given, where workers are on these."""
    taken = queue.take(node, nodes, is_idle=True, node=node, nodes=nodes)
    return taken and taken.name


def test_a_job_whose_images_are_away_goes_to_another_node_and_first() -> None:
    first, second = job("first", 9), job("second")
    queue = JobQueue([first, second])
    assert take_on(queue, "blind", "blind", "other") == "first"
    queue.note_away(first, "blind", AWAY)
    queue.give_back(first)
    assert queue.belongs_elsewhere(first, "blind", ["blind", "other"])
    assert take_on(queue, "blind", "blind", "other") == "second"
    assert take_on(queue, "blind", "blind", "other") is None
    assert take_on(queue, "other", "blind", "other") == "first"


@pytest.mark.parametrize("nodes", [["blind"], ["blind", "blinder"]])
def test_a_job_whose_images_are_away_everywhere_belongs_nowhere_else(nodes: list[str]) -> None:
    queue = JobQueue([wanted := job("wanted")])
    queue.waiting.clear()
    for node in nodes:
        queue.note_away(wanted, node, AWAY)
        queue.give_back(wanted)
        assert queue.belongs_elsewhere(wanted, node, nodes) == (node != nodes[-1])
        queue.waiting.clear()
    assert set(queue.away_on(wanted)) == set(nodes)
    queue.look_again(wanted)
    queue.give_back(wanted)
    assert take_on(queue, "blind", *nodes) == "wanted"


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        pytest.param({"a": "xz", "b": "xyz"}, "xz", id="b lacks more"),
        pytest.param({"a": "xyz", "b": "zx"}, "zx", id="a lacks more"),
        pytest.param({"a": "xz", "b": "yz"}, "z", id="one nowhere"),
        pytest.param({"a": "xy", "b": "z"}, "z", id="each is seen somewhere and no node sees all"),
        pytest.param({"a": "x", "gone": ""}, "x", id="a node that has left helps no more"),
    ],
)
def test_an_image_that_one_node_sees_is_not_left_out_for_another(lists: dict[str, str], expected: str) -> None:
    queue = JobQueue([wanted := job("wanted")])
    for node, paths in lists.items():
        queue.note_away(wanted, node, ImagesAway(list(paths), node))
    away = queue.away_everywhere(wanted, {"a", "b"})
    assert "".join(away.paths) == expected


def test_a_job_whose_images_are_away_waits_for_a_worker_that_starts_somewhere() -> None:
    queue = JobQueue([wanted := job("wanted")])
    queue.note_away(wanted, "blind", AWAY)
    assert take_on(queue, "blind", "blind", "") is None
    assert take_on(queue, "blind", "blind") == "wanted"  # the other one is gone


def test_what_follows_leaves_its_keeper_where_images_are_away() -> None:
    first = job("first", then=lambda _: [job("second", follows=first)])
    queue = JobQueue([first])
    assert take_on(queue, "keeper", "keeper", "other") == "first"
    queue.finish(first, "keeper", None)
    (second,) = queue.waiting
    assert take_on(queue, "other", "keeper", "other") is None
    queue.note_away(second, "keeper", AWAY)
    assert take_on(queue, "other", "keeper", "other") == "second"
