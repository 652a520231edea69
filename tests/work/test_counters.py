"""How long network and decoders wait for each other, and what was written."""

import time

import numpy as np
import pyarrow as pa
import pytest
from synthetic.tables import NAN_BOX, box_row, boxes_of

from psol_ray.tables.schemas import PREDICTIONS
from psol_ray.work.counters import WAITS, Seconds, statuses, timed


@pytest.fixture(autouse=True)
def _from_nought() -> None:
    WAITS.take()


def test_both_sides_of_a_batch_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("psol_ray.work.counters.time", type("Clock", (), {"perf_counter": lambda: now[0]}))

    def decoded():  # type: ignore[no-untyped-def]
        for i in range(3):
            now[0] += 5
            yield i

    seen = []
    for i in timed(decoded()):
        now[0] += 2
        seen.append(i)
    assert seen == [0, 1, 2]
    assert WAITS.take() == Seconds(15, 6)
    assert WAITS.take() == Seconds()


def test_an_error_of_the_decoder_comes_through() -> None:
    def broken():  # type: ignore[no-untyped-def]
        yield 1
        raise OSError("gone")

    batches = timed(broken())
    assert next(batches) == 1
    with pytest.raises(OSError, match="gone"):
        next(batches)
    assert WAITS.take().network < time.perf_counter()


def test_boxes_are_counted_by_status() -> None:
    table = boxes_of(box_row("a", (0, 0, 1, 1)), box_row("b", (0, 0, 1, 1)), box_row("c", NAN_BOX))
    assert statuses({"maps": pa.table({"image_id": ["a"]}), "boxes": table}) == {"ok": 2, "unreadable": 1}


def test_predictions_say_by_their_boxes_what_they_are() -> None:
    ids, x0 = ["a", "b", "c", "d"], np.array([0, np.nan, np.nan, 1], np.float32)
    columns = {field.name: pa.nulls(4, field.type) for field in PREDICTIONS}
    table = pa.table({**columns, "image_id": ids, "x0": x0})
    assert statuses({"predictions": table}) == {"ok": 2, "unreadable": 2}
    assert statuses({"predictions": table}, ["c", "elsewhere"]) == {"ok": 2, "unreadable": 1, "missing": 1}
