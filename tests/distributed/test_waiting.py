"""Who has not got on, and what is said of it."""

import pytest
from synthetic.logs import messages

from psol_ray.distributed import waiting as module
from psol_ray.distributed.waiting import Pulse, Teller


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that it is, to be changed."""
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_somebody_is_silent_until_it_answers_or_its_counts_change(clock: list[float]) -> None:
    pulse = Pulse(clock[0])
    silent = []
    for act in (dict, lambda: {"a": 1}, lambda: {"a": 1}, lambda: {"a": 1, "b": 0}, lambda: {"a": 1, "b": 0}):
        clock[0] += 10
        pulse.see(act())
        silent.append(pulse.silent_s)
    pulse.beat()
    assert [*silent, pulse.silent_s] == [10, 0, 10, 0, 10, 0]


def test_each_thing_is_told_once_a_minute_and_not_before_it_has_lasted_one(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    teller = Teller()
    for second in range(0, 150, 5):
        clock[0] = 1000.0 + second
        teller.tell("a", second, "b")
        teller.tell("c", second - 100, "d")
    assert messages(capsys.readouterr().err) == ["a for 60 s; b", "a for 120 s; b"]
