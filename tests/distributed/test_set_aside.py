"""What is written down of a part that kills its workers."""

import json
import time

from synthetic.tables import catalog_of, image

from psol_ray.distributed.queue import Death
from psol_ray.distributed.set_aside import record_of
from psol_ray.work.jobs import Job


def test_deaths_are_told_with_their_causes_and_images_that_come_next_or_are_large_are_suspects() -> None:
    rows = [image(f"{i}.jpg", width=i % 7 + 1, height=9) for i in range(90)]
    died = time.mktime((2026, 1, 2, 3, 4, 5, 0, 0, -1))
    deaths = [Death(died, "first", "out of memory", 8), Death(died, "second", "end of file", 40)]
    record = record_of(Job("part-x 1/2", catalog_of(*rows), part="part-x"), deaths)
    assert json.loads(json.dumps(record)) == record
    assert (record["part"], record["images"]) == ("part-x", 90)
    assert record["deaths"] == [
        {"time": "2026-01-02 03:04:05", "host": "first", "cause": "out of memory", "images_done": 8},
        {"time": "2026-01-02 03:04:05", "host": "second", "cause": "end of file", "images_done": 40},
    ]
    assert record["suspects"]["next_after_the_last_reported"] == [f"{i}.jpg" for i in range(40, 72)]
    assert record["suspects"]["most_pixels"] == [{"image_id": f"{i}.jpg", "width": 7, "height": 9} for i in (6, 13, 20)]


def test_where_nothing_was_reported_the_first_images_are_suspects() -> None:
    record = record_of(Job("part-x", catalog_of(*map(image, "abc"))), [Death(0, "host", "killed")])
    assert record["part"] == "part-x"
    assert record["suspects"]["next_after_the_last_reported"] == ["a", "b", "c"]
