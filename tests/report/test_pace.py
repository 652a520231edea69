"""How fast a stage was made, from parts that say who wrote them when."""

import pytest

from psol_ray.report.pace import make_pace
from psol_ray.tables.written import Written


def test_images_over_time_and_by_worker_the_slowest_first() -> None:
    parts = [(Written("a", 1, 100.0 + 10 * number), 50) for number in range(4)]
    parts += [(Written("b", 7, 100.0 + 30 * number), 50) for number in range(2)]
    parts.append((Written("c", 2, 130.0), 20))
    pace = make_pace("boxes", parts[::-1], {"images": 320, "seconds": 45.5})
    assert pace is not None
    assert [(w.name, w.parts, w.images) for w in pace.workers] == [
        ("b, process 7", 2, 100),
        ("a, process 1", 4, 200),
        ("c, process 2", 1, 20),
    ]
    assert [w.images_per_s for w in pace.workers] == [pytest.approx(50 / 30), pytest.approx(5), None]
    assert pace.summary == "320 images in 45.5 s"
    assert pace.chart is not None
    assert (
        pace.chart.summary
        == "images done from 50 at minutes after the first part 0 to 320 at minutes after the first part 0.5"
    )


def test_only_the_slowest_of_many_workers_are_listed() -> None:
    parts = [(Written("a", process, time + process), 10 * process) for process in range(1, 31) for time in (0.0, 9.0)]
    pace = make_pace("boxes", parts, {})
    assert pace is not None
    assert (len(pace.workers), pace.num_workers, pace.workers[0].name) == (20, 30, "a, process 1")


def test_parts_that_say_nothing_have_no_pace() -> None:
    assert make_pace("boxes", [], {"images": 3}) is None
    assert Written.of(None) is None
    assert Written.of({b"psol_ray_written": b"{"}) is None
    one = Written.now()
    assert Written.of({b"psol_ray_written": one.to_json()}) == one
