"""Batches of several jobs: whose are decoded first, who has the network, and what becomes of errors."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from psol_ray.errors import ImagesAway
from psol_ray.images.batch_stream import BatchStream
from psol_ray.work.counters import WAITS

CPU = torch.device("cpu")
SECONDS = 20.0


def stream_of(
    decode: Callable[[Sequence[str]], list[str]] = list, *, batch_size: int = 2, number: int = 1
) -> BatchStream[list[str]]:
    return BatchStream([decode] * number, batch_size, CPU)  # type: ignore[list-item]


def join(rows: slice, decoded: list[str]) -> tuple[slice, str]:
    return rows, "".join(decoded)


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("paths", ["", "a", "ab", "abcde", "abcdefghijklmnopqrstu"])
def test_outcomes_are_those_of_all_batches_in_order(number: int, paths: str) -> None:
    done: list[int] = []
    outcomes = stream_of(number=number).map(list(paths), join, done.append)
    assert [paths[rows] for rows, _ in outcomes] == [text for _, text in outcomes]
    assert "".join(text for _, text in outcomes) == paths
    assert done == [rows.stop for rows, _ in outcomes]
    assert done == [min(stop, len(paths)) for stop in range(2, len(paths) + 2, 2)]


def test_slow_decoders_change_no_order() -> None:
    def decode(paths: Sequence[str]) -> list[str]:
        time.sleep(0.02 * (int(paths[0]) % 3 == 0))
        return list(paths)

    paths = [str(i) for i in range(20)]
    assert stream_of(decode, batch_size=1, number=3).map(paths, lambda _, decoded: decoded[0], lambda _: None) == paths


def test_the_job_that_came_first_is_decoded_first_and_the_other_while_its_last_batches_are_worked_on() -> None:
    decoded: list[str] = []
    first_has_begun, second_is_decoded = threading.Event(), threading.Event()

    def decode(paths: Sequence[str]) -> list[str]:
        decoded.extend(paths)
        if paths[0] == "b0":
            second_is_decoded.set()
        return list(paths)

    def network_of_first(rows: slice, _: list[str]) -> None:
        first_has_begun.set()
        time.sleep(0.01)  # in which the second one could take its turn
        if rows.stop == 9:
            assert second_is_decoded.wait(SECONDS)

    stream = stream_of(decode, batch_size=1)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(stream.map, [f"a{i}" for i in range(9)], network_of_first, lambda _: None)
        assert first_has_begun.wait(SECONDS)
        second = threads.submit(stream.map, [f"b{i}" for i in range(9)], lambda *_: None, lambda _: None)
        first.result(SECONDS)
        second.result(SECONDS)
    assert decoded == [f"{job}{i}" for job in "ab" for i in range(9)]


def test_the_network_has_one_batch_at_a_time() -> None:
    inside, most = 0, 0
    lock = threading.Lock()

    def network(rows: slice, _: list[str]) -> slice:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        time.sleep(0.002)
        with lock:
            inside -= 1
        return rows

    stream = stream_of(batch_size=1)
    with ThreadPoolExecutor(4) as threads:
        jobs = [threads.submit(stream.map, [str(i) for i in range(8)], network, lambda _: None) for _ in range(4)]
        for job in jobs:
            assert [rows.start for rows in job.result(SECONDS)] == list(range(8))
    assert most == 1


def test_no_more_is_decoded_ahead_than_the_network_needs() -> None:
    decoded: list[str] = []
    ahead: list[int] = []

    def decode(paths: Sequence[str]) -> list[str]:
        decoded.extend(paths)
        return list(paths)

    def network(rows: slice, _: list[str]) -> None:
        time.sleep(0.01)
        ahead.append(len(decoded) - rows.stop)

    stream_of(decode, batch_size=1).map([str(i) for i in range(10)], network, lambda _: None)
    assert (max(ahead), ahead[-1]) == (2, 0)


@pytest.mark.parametrize("where", ["decoder", "network", "caller"])
def test_an_error_is_its_own_job_s_and_leaves_the_stream_to_the_other(where: str) -> None:
    begun = threading.Event()

    def fail_in(place: str, is_bad: bool) -> None:
        if is_bad and place == where:
            begun.set()
            raise ImagesAway(["bad"], "no driver")

    def decode(paths: Sequence[str]) -> list[str]:
        fail_in("decoder", "bad" in paths)
        return list(paths)

    def network(_: slice, decoded: list[str]) -> str:
        fail_in("network", "bad" in decoded)
        return "".join(decoded)

    stream = stream_of(decode)
    bad = ["a", "b", "bad", *"cdefghijk"]
    with ThreadPoolExecutor(1) as threads:
        error: list[BaseException] = []

        def run_bad() -> None:
            try:
                stream.map(bad, network, lambda done: fail_in("caller", done == 4))
            except ImagesAway as away:
                error.append(away)  # whose traceback holds all frames

        threads.submit(run_bad)
        assert begun.wait(SECONDS)
        assert stream.map(list("abcde"), network, lambda _: None) == ["ab", "cd", "e"]
    assert [str(each) for each in error] == [str(ImagesAway(["bad"], "no driver"))]


def test_what_is_counted_as_waiting_is_the_network_s_and_no_job_s_for_its_turn() -> None:
    def decode(paths: Sequence[str]) -> list[str]:
        time.sleep(0.05)
        return list(paths)

    stream = stream_of(decode, batch_size=1)
    WAITS.take()
    started = time.perf_counter()
    with ThreadPoolExecutor(2) as threads:
        for job in [threads.submit(stream.map, list("abc"), lambda *_: time.sleep(0.01), lambda _: None) for _ in "12"]:
            job.result(SECONDS)
    waited, seconds = WAITS.take(), time.perf_counter() - started
    # Each of the two waited for nearly all of the time; the network did so once.
    assert 0.5 * seconds < waited.decode + waited.network < 1.05 * seconds
    assert waited.decode > 3 * waited.network > 0
