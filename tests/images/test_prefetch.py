"""The thread that stays ahead: order, limits, errors, and that it ends."""

import threading
import time
from collections.abc import Iterator
from typing import TypeVar

import pytest

from psol_ray.images.prefetch import prefetch

T = TypeVar("T")


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "prefetch"]


def same(item: T) -> T:
    return item


@pytest.mark.parametrize("num_threads", [1, 2, 5])
@pytest.mark.parametrize("depth", [1, 2, 50])
@pytest.mark.parametrize("number", [0, 1, 20])
def test_items_come_in_order_and_the_threads_end(number: int, depth: int, num_threads: int) -> None:
    def slower_and_slower(item: int) -> int:
        time.sleep(item % 3 / 1000)
        return -item

    made = list(prefetch(range(number), [slower_and_slower] * num_threads, depth))
    assert made == [-item for item in range(number)]
    assert threads() == []


def test_two_threads_work_at_once_on_items_that_one_at_a_time_takes() -> None:
    both, taking = threading.Barrier(2), threading.Lock()

    def items() -> Iterator[int]:
        for i in range(6):
            assert taking.acquire(blocking=False)
            time.sleep(0.005)
            taking.release()
            yield i

    def make(item: int) -> int:
        both.wait(5)  # breaks where one thread makes two in a row
        return item

    assert list(prefetch(items(), [make, make])) == list(range(6))


def test_one_that_takes_long_is_waited_for_and_those_behind_it_are_bounded() -> None:
    go_on, made = threading.Event(), []

    def make(item: int) -> int:
        if item == 0:
            go_on.wait(5)
        made.append(item)
        return item

    ahead = prefetch(range(100), [make, make], depth=2)
    first: list[int] = []
    consumer = threading.Thread(target=lambda: first.extend(ahead))
    consumer.start()
    deadline = time.monotonic() + 5
    while len(made) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.05)
    assert made == [1, 2, 3]  # with the one in hand, depth and one a thread
    assert first == []
    go_on.set()
    consumer.join()
    assert first == list(range(100))


def test_items_are_made_by_another_thread_that_stays_at_most_depth_ahead() -> None:
    made: list[threading.Thread] = []

    def items() -> Iterator[int]:
        for i in range(10):
            made.append(threading.current_thread())
            yield i

    ahead = prefetch(items(), [same], depth=2)
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
        got.extend(prefetch(items(), [same]))
    assert got == [1, 2]
    assert threads() == []


def test_exception_of_one_thread_is_raised_in_its_turn_and_ends_the_others() -> None:
    started = threading.Event()

    def slow(item: int) -> int:
        started.wait(5)
        return item

    def torn(_item: int) -> int:
        started.set()
        raise ValueError("torn")

    got: list[int] = []
    with pytest.raises(ValueError, match="torn"):
        got.extend(prefetch(range(100), [slow, torn]))
    assert got in ([], [0])  # by which of them took the first
    assert threads() == []


def test_item_that_is_an_exception_is_an_item() -> None:
    error = ValueError("data")
    assert list(prefetch([error, None], [same])) == [error, None]


def test_leaving_early_ends_the_thread_before_the_next_line() -> None:
    made = []

    def items() -> Iterator[int]:
        for i in range(1000):
            made.append(i)
            yield i

    ahead = prefetch(items(), [same])
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

    ahead = prefetch(items(), [same])
    next(ahead)
    started.wait()
    ahead.close()
    assert finished.is_set()


def test_leaving_early_waits_for_every_item_being_made() -> None:
    both, begun, finished = threading.Barrier(2), threading.Event(), []

    def make(item: int) -> int:
        if item in (1, 2):
            both.wait(5)
            begun.set()
            time.sleep(0.1)
            finished.append(item)
        return item

    ahead = prefetch(range(100), [make, make])
    next(ahead)
    begun.wait(5)
    ahead.close()
    assert threads() == []
    assert sorted(finished) == [1, 2]


def test_nothing_is_made_before_the_first_item_is_asked_for() -> None:
    made: list[int] = []

    def items() -> Iterator[int]:
        made.append(0)
        yield 0

    ahead = prefetch(items(), [same])
    assert threads() == []
    assert made == []
    assert list(ahead) == made == [0]
