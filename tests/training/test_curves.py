"""Curves as files that other programs read."""

import json

from tensorboardX.proto import event_pb2
from tensorboardX.record_writer import masked_crc32c

from psol_ray.training.curves import Row, events_file, to_events, to_lines

ROWS: list[Row] = [
    {"step": 10, "epoch": 0.5, "time": 1e9, "loss": 2.5, "images_per_s": 30.0},
    {"step": 20, "epoch": 1, "time": 1e9 + 7, "loss": 1.25, "images_per_s": 31.0, "gt_known": 0.75},
]


def events_of(data: bytes) -> list[event_pb2.Event]:
    """Read the format itself: length, its checksum, an event, its checksum."""
    events = []
    while data:
        length = int.from_bytes(data[:8], "little")
        event = data[12 : 12 + length]
        assert masked_crc32c(event).to_bytes(4, "little") == data[12 + length : 16 + length]
        events.append(event_pb2.Event.FromString(event))
        data = data[16 + length :]
    return events


def test_a_row_is_a_line() -> None:
    assert [json.loads(line) for line in to_lines(ROWS).decode().splitlines()] == ROWS


def test_events_hold_every_number_at_its_step_and_time() -> None:
    scalars = {
        (event.step, value.tag): (value.simple_value, event.wall_time)
        for event in events_of(to_events(ROWS))
        for value in event.summary.value
    }
    assert scalars == {
        (10, "loss"): (2.5, 1e9),
        (10, "images_per_s"): (30.0, 1e9),
        (20, "loss"): (1.25, 1e9 + 7),
        (20, "images_per_s"): (31.0, 1e9 + 7),
        (20, "gt_known"): (0.75, 1e9 + 7),
    }


def test_files_are_in_the_order_of_their_steps() -> None:
    """TensorBoard reads one file to its end, and then the next by name."""
    names = [events_file(step) for step in (9, 10, 250, 1_000_000)]
    assert names == sorted(names)
    assert all("tfevents" in name for name in names)
