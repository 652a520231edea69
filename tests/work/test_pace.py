"""How fast something gets on, by a clock that is set."""

import pytest

from psol_ray.work.pace import Pace, duration


def pace_of(*seen: tuple[float, int]) -> Pace:
    pace = Pace(0.0)
    for at, done in seen:
        pace.see(at, done)
    return pace


def test_nothing_is_known_before_images_have_come_twice() -> None:
    assert pace_of().rate(50) is None
    assert pace_of((50, 0), (60, 100)).rate(90) is None


def test_the_time_that_workers_take_to_start_does_not_count() -> None:
    assert pace_of((300, 100), (310, 200)).rate(310) == 10


def test_the_last_minute_counts_and_not_what_was_before() -> None:
    slow = [(t, t) for t in range(10, 601, 10)]
    fast = [(600 + t, 600 + 9 * t) for t in range(10, 91, 10)]
    assert pace_of(*slow).rate(600) == 1
    assert pace_of(*slow, *fast).rate(690) == 9


def test_what_comes_in_lumps_is_timed_from_lump_to_lump() -> None:
    pace = pace_of(*[(100 * i, 1000 * i) for i in range(1, 6)])
    assert pace.rate(500) == 10


def test_it_falls_while_nothing_comes() -> None:
    pace = pace_of(*[(t, 10 * t) for t in range(1, 101)])
    assert pace.rate(100) == 10
    assert pace.quiet_s(100) == 0
    rates = [pace.rate(100 + quiet) or 0 for quiet in (30, 60, 600, 6000)]
    assert rates == sorted(rates, reverse=True)
    assert rates[2] < 0.02
    assert pace.quiet_s(700) == 600


def test_what_begins_anew_has_no_rate_yet() -> None:
    pace = pace_of(*[(t, 10 * t) for t in range(1, 101)])
    pace.restart(100, 500)
    assert pace.rate(110) is None
    pace.see(120, 600)
    pace.see(130, 650)
    assert pace.rate(130) == 5


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.4, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (7199, "2 h 00 min"),
        (7140, "119 min"),
        (11100, "3 h 05 min"),
        (200000, "2 d 7 h"),
    ],
)
def test_lengths_of_time_are_told_as_one_reads_them(seconds: float, told: str) -> None:
    assert duration(seconds) == told
