"""Features for several callers from one network: full batches, everyone their own rows, and faults that stay apart."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from psol_ray.generators.ddt.stream import FeatureStream
from psol_ray.images.batch import DecodedBatch

BATCH = 4
CPU = torch.device("cpu")


class NumberDecoder:
    """A file named 17 is a picture of 17; one named `bad` cannot be read, and one named `burst` breaks the decoder."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.seconds = 0.0
        self.num_blocked = 0

    def decode(self, paths: Sequence[str], *_: object) -> DecodedBatch:
        self.num_blocked += 1
        self.gate.wait()
        self.num_blocked -= 1
        time.sleep(self.seconds)
        if "burst" in paths:
            raise OSError("burst")
        ok_N = np.array([path != "bad" for path in paths])
        values = [int(path) if ok else 0 for path, ok in zip(paths, ok_N, strict=True)]
        return DecodedBatch(torch.tensor(values, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 2, 2, 3), ok_N)


class Network:
    """Doubles its input, and notes the size of each batch."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def __call__(self, images_NHWC: torch.Tensor) -> torch.Tensor:
        self.sizes.append(len(images_NHWC))
        if (images_NHWC == 99).any():
            raise RuntimeError("99 is too much")
        return images_NHWC.float() * 2


@pytest.fixture
def decoder() -> NumberDecoder:
    return NumberDecoder()


@pytest.fixture
def network() -> Network:
    return Network()


@pytest.fixture(params=[1, 2], ids=["one decoder", "two decoders"])
def stream(decoder: NumberDecoder, network: Network, request: pytest.FixtureRequest) -> Iterator[FeatureStream]:
    stream = FeatureStream([decoder] * request.param, network, BATCH, CPU)
    yield stream
    stream.close()


def read(stream: FeatureStream, paths: Sequence[str]) -> tuple[list[float], list[bool]]:
    values: list[float] = []
    ok: list[bool] = []

    def accept(start: int, map_Nhwc: torch.Tensor, ok_N: np.ndarray) -> None:
        assert start == len(values)
        values.extend(map_Nhwc[:, 0, 0, 0].tolist())
        ok.extend(ok_N.tolist())

    stream.read(paths, accept)
    return values, ok


@contextmanager
def asking(stream: FeatureStream, decoder: NumberDecoder, *calls: Callable[[], Any]) -> Iterator[list[Future]]:
    """Makes calls of which all have asked before the first is served; a full batch holds each decoder up until then."""
    decoder.gate.clear()
    with ThreadPoolExecutor(len(calls) + 1) as callers:
        callers.submit(read, stream, numbers(0, BATCH * (len(stream._threads) - 1)))
        while decoder.num_blocked < len(stream._threads) - 1:
            time.sleep(0.001)
        answers = []
        for number, call in enumerate(calls, start=1):
            answers.append(callers.submit(call))
            while stream._requests.qsize() < number:
                time.sleep(0.001)
        decoder.gate.set()
        yield answers


def numbers(first: int, count: int) -> list[str]:
    return [str(first + i) for i in range(count)]


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 11])
def test_features_come_in_order_and_all(stream: FeatureStream, count: int) -> None:
    assert read(stream, numbers(5, count)) == ([2.0 * (5 + i) for i in range(count)], [True] * count)


def test_unreadable_image_is_told_and_costs_itself(stream: FeatureStream) -> None:
    assert read(stream, ["1", "bad", "3"]) == ([2, 0, 6], [True, False, True])


def test_batches_run_over_the_boundaries_between_callers(
    stream: FeatureStream, decoder: NumberDecoder, network: Network
) -> None:
    counts = [3, 6, 1, 9, 5]
    with asking(
        stream, decoder, *(partial(read, stream, numbers(20 * i, count)) for i, count in enumerate(counts))
    ) as (answers):
        for i, (count, answer) in enumerate(zip(counts, answers, strict=True)):
            assert answer.result()[0] == [2.0 * (20 * i + j) for j in range(count)]
    assert network.sizes[-6:] == [BATCH] * 6
    assert sum(network.sizes) == BATCH * len(network.sizes)


def test_nobody_waits_for_a_batch_to_fill(stream: FeatureStream, network: Network) -> None:
    read(stream, numbers(0, 6))
    assert network.sizes == [4, 2]


@pytest.mark.parametrize(("fatal", "error"), [("99", RuntimeError), ("burst", OSError)])
def test_fault_is_raised_to_its_caller_and_the_stream_goes_on(
    stream: FeatureStream, fatal: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        read(stream, [*numbers(0, 6), fatal, *numbers(0, 9)])
    assert read(stream, ["7"]) == ([14], [True])


def test_a_callers_own_fault_does_not_touch_its_neighbours(stream: FeatureStream, decoder: NumberDecoder) -> None:
    def refuse(*_: object) -> None:
        raise ZeroDivisionError

    ask = partial(stream.read, numbers(0, 6), refuse), partial(read, stream, numbers(30, 6))
    with asking(stream, decoder, *ask) as (refused, neighbour):
        assert isinstance(refused.exception(), ZeroDivisionError)
        assert neighbour.result()[0] == [2.0 * (30 + i) for i in range(6)]


def test_waiting_for_pixels_is_told_from_working(stream: FeatureStream, decoder: NumberDecoder) -> None:
    decoder.seconds = 0.05
    read(stream, numbers(0, 4 * BATCH))
    assert stream.waited_s > 0.07  # two decoders halve it
    assert 0 < stream.busy_s < stream.waited_s
    waited = stream.waited_s
    decoder.seconds = 0.0
    time.sleep(0.5)  # nobody asks for anything
    read(stream, numbers(0, 1))
    assert stream.waited_s < waited + 0.4
