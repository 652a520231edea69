"""`map_waiting`: which thread does what."""

import threading
import time

import pytest

from psol_ray.work.threads import NUM_THREADS, map_waiting


def compute(_: int) -> threading.Thread:
    end = time.thread_time() + 0.001
    while time.thread_time() < end:
        pass
    return threading.current_thread()


def wait(_: int) -> threading.Thread:
    time.sleep(0.005)
    return threading.current_thread()


def test_results_come_in_order() -> None:
    assert list(map_waiting(lambda i: (time.sleep(0.001 * (i % 3)), i)[1], range(100))) == list(range(100))


def test_what_waits_is_done_in_threads() -> None:
    threads = list(map_waiting(wait, range(200)))
    assert threads[0] is threading.current_thread()
    assert 2 <= len(set(threads[50:])) <= NUM_THREADS
    assert threading.current_thread() not in threads[50:]


def test_what_computes_is_done_by_one() -> None:
    # Once in a while another process may have the core for long enough to look like a wait.
    kinds = [set(map_waiting(compute, range(100))) for _ in range(5)]
    assert {threading.current_thread()} in kinds


def test_what_waits_later_is_done_in_threads_from_then_on() -> None:
    threads = list(map_waiting(lambda i: wait(i) if i > 50 else compute(i), range(200)))
    assert threading.current_thread() not in threads[120:]


def test_an_error_comes_where_its_item_is() -> None:
    found = map_waiting(lambda i: 1 // (2 - i), range(5))
    assert [next(found), next(found)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(found)


def test_of_nothing_comes_nothing() -> None:
    assert list(map_waiting(wait, [])) == []
