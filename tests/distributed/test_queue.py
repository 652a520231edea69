"""Who is given what next, decided without a single actor."""

import pytest

from psol_ray.distributed.jobs import MAX_DEATHS, Backlog, Job


def job(name: str, cost: int = 1, **more: object) -> Job:
    return Job(name, (), cost, **more)  # type: ignore[arg-type]


def test_the_most_costly_is_first_and_equals_go_by_name() -> None:
    backlog = Backlog([job("b"), job("big", 9), job("a")])
    assert [backlog.take("w", ["w"], is_idle=True).name for _ in range(3)] == ["big", "a", "b"]  # type: ignore[union-attr]
    assert backlog.take("w", ["w"], is_idle=True) is None


def test_what_follows_comes_before_all_others() -> None:
    first = job("first", 2, then=lambda answer: [job(f"{answer} 1"), job(f"{answer} 2")])
    backlog = Backlog([first, job("other", 1)])
    taken = backlog.take("w", ["w"], is_idle=True)
    assert taken is first
    backlog.finish(first, "w", "next")
    assert [waiting.name for waiting in backlog.waiting] == ["next 1", "next 2", "other"]


def test_what_follows_goes_to_the_actor_that_keeps_something_for_it() -> None:
    first = job("first", then=lambda _: [job("second", follows=first)])
    other = job("other")
    backlog = Backlog([first])
    backlog.take("keeper", ["keeper", "w"], is_idle=True)
    backlog.waiting.append(other)
    backlog.finish(first, "keeper", None)
    assert backlog.take("w", ["keeper", "w"], is_idle=True) is other
    assert backlog.take("w", ["keeper", "w"], is_idle=True) is None
    assert backlog.take("keeper", ["keeper", "w"], is_idle=True).name == "second"  # type: ignore[union-attr]


def test_what_follows_goes_to_anybody_once_its_keeper_is_gone() -> None:
    first = job("first", then=lambda _: [job("second", follows=first)])
    backlog = Backlog([first])
    backlog.take("keeper", ["keeper"], is_idle=True)
    backlog.finish(first, "keeper", None)
    assert backlog.take("w", ["w"], is_idle=True).name == "second"  # type: ignore[union-attr]


def test_a_suspect_waits_for_an_actor_of_its_own() -> None:
    suspect, other = job("suspect", 9), job("other")
    backlog = Backlog([suspect, other])
    backlog.take("w", ["w"], is_idle=True)
    backlog.bury(suspect)
    assert backlog.waiting == [other, suspect]
    assert backlog.take("w", ["w"], is_idle=False) is other
    assert backlog.take("w", ["w"], is_idle=False) is None
    assert backlog.take("w", ["w"], is_idle=True) is suspect


def test_a_part_is_set_aside_after_a_cap_and_named_once() -> None:
    pieces = [job("x 1/2", part="x"), job("x 2/2", part="x")]
    backlog = Backlog(list(pieces))
    backlog.waiting.clear()
    for death in range(1, MAX_DEATHS + 1):
        for piece in pieces:
            backlog.bury(piece)
        assert len(backlog.waiting) == (2 * death if death < MAX_DEATHS else 2 * (MAX_DEATHS - 1))
    assert backlog.set_aside() == ["x"]


@pytest.mark.parametrize(
    ("candidate", "alone"),
    [
        (job("plain"), True),
        (job("first", then=lambda _: []), False),
        (job("second", follows=job("first")), False),
    ],
)
def test_only_a_job_of_which_nothing_comes_but_a_part_may_be_done_twice(candidate: Job, alone: bool) -> None:
    assert candidate.is_on_its_own is alone
