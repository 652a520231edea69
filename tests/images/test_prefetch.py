"""The thread that stays ahead: order, limits, errors, and that it ends."""

import threading
import time
from collections.abc import Iterator

import pytest

from psol_ray.images.prefetch import prefetch


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "prefetch"]


@pytest.mark.parametrize("depth", [1, 2, 50])
@pytest.mark.parametrize("number", [0, 1, 20])
def test_items_come_in_order_and_the_thread_ends(number: int, depth: int) -> None:
    assert list(prefetch(range(number), depth)) == list(range(number))
    assert threads() == []


def test_items_are_made_by_another_thread_that_stays_at_most_depth_ahead() -> None:
    made: list[threading.Thread] = []

    def items() -> Iterator[int]:
        for i in range(10):
            made.append(threading.current_thread())
            yield i

    ahead = prefetch(items(), depth=2)
    assert next(ahead) == 0
    deadline = time.monotonic() + 5
    while len(made) < 4 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    # One taken, two waiting, one made and not yet put.
    assert len(made) == 4
    assert threading.current_thread() not in made
    assert all(thread.daemon for thread in made)
    ahead.close()


def test_exception_is_raised_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("torn")

    got: list[int] = []
    with pytest.raises(ValueError, match="torn"):
        got.extend(prefetch(items()))
    assert got == [1, 2]
    assert threads() == []


def test_item_that_is_an_exception_is_an_item() -> None:
    error = ValueError("data")
    assert list(prefetch([error, None])) == [error, None]


def test_leaving_early_ends_the_thread_before_the_next_line() -> None:
    made = []

    def items() -> Iterator[int]:
        for i in range(1000):
            made.append(i)
            yield i

    ahead = prefetch(items())
    next(ahead)
    ahead.close()
    assert threads() == []
    assert len(made) <= 5


def test_leaving_early_waits_for_the_item_being_made() -> None:
    started, finished = threading.Event(), threading.Event()

    def items() -> Iterator[int]:
        yield 0
        started.set()
        time.sleep(0.1)
        finished.set()
        yield 1

    ahead = prefetch(items())
    next(ahead)
    started.wait()
    ahead.close()
    assert finished.is_set()


def test_nothing_is_made_before_the_first_item_is_asked_for() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        made.append(0)
        yield 0

    ahead = prefetch(items())
    assert threads() == []
    assert made == []
    assert list(ahead) == made == [0]
