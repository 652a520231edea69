"""Sizes read by tasks."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import ray
from PIL import Image

from psol_ray.catalog.headers import AWAY
from psol_ray.distributed import headers
from psol_ray.distributed.headers import read_sizes_in_parallel
from psol_ray.distributed.node_checks import NodeChecks, Probe
from psol_ray.distributed.shares import Node
from psol_ray.errors import UserError

pytestmark = pytest.mark.usefixtures("cluster")

# Workers cannot import tests.
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])


def test_sizes_come_in_order_from_several_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headers, "_FILES_A_TASK", 2)
    names = [f"{i}.png" for i in range(5)]
    for i, name in enumerate(names):
        Image.new("RGB", (i + 1, 9)).save(tmp_path / name)
    (tmp_path / "3.png").write_bytes(b"no image")
    sizes = read_sizes_in_parallel(str(tmp_path), names)
    assert sizes.tolist() == [[1, 9], [2, 9], [3, 9], [0, 0], [5, 9]]


def test_a_root_that_a_machine_lacks_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError) as raised:
        read_sizes_in_parallel(str(tmp_path / "missing"), ["a.png"])
    assert "missing is no folder there" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.fixture
def reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> headers._Reading:
    """Of three images, on a hundred machines of which one is unfit; nothing is begun."""
    nodes = [Node(f"{i:02}", 1) for i in range(100)]
    monkeypatch.setattr(headers, "find_nodes", lambda: nodes)
    monkeypatch.setattr(headers._Reading, "_begin", lambda self, chunk: self._running.update({len(chunk.tried): chunk}))
    checks = NodeChecks(Probe(str(tmp_path)), faults={"99": "no mount"})
    return headers._Reading(str(tmp_path), ["a.png", "b.png", "c.png"], 100, checks, None)  # type: ignore[arg-type]


WHOLE = headers._Chunk("0", 3, np.arange(3))
NO_FOLDER = UserError("no folder")


def read_by(node: str, *sizes: tuple[int, int]) -> headers._Read:
    return headers._Read(node, np.array(sizes, np.int32).reshape(-1, 2), None if sizes else NO_FOLDER)


def test_what_one_machine_does_not_see_and_nothing_else_is_read_on_another(reading: headers._Reading) -> None:
    reading._take_in(WHOLE, read_by("00", (1, 9), AWAY, AWAY))
    assert reading._running[1].rows_N.tolist() == [1, 2]
    reading._take_in(reading._running[1], read_by("01", AWAY, (3, 9)))
    assert reading._running[2].rows_N.tolist() == [1]
    assert reading._sizes_N2.tolist() == [[1, 9], [-1, -1], [3, 9]]


def test_an_image_that_four_machines_do_not_see_is_looked_for_on_no_fifth(reading: headers._Reading) -> None:
    chunk = WHOLE
    for looks in range(4):
        reading._running.clear()
        reading._take_in(chunk, read_by(f"{looks:02}", *[AWAY] * 3))
        chunk = reading._running.get(looks + 1, chunk)
    assert not reading._running
    assert reading._sizes_N2.tolist() == [[-1, -1]] * 3


def test_machines_that_see_no_folder_are_passed_over_until_none_is_left(reading: headers._Reading) -> None:
    chunk = WHOLE
    for node in range(98):  # each says so at once, and looks for nothing
        reading._take_in(chunk, read_by(f"{node:02}"))
        chunk = reading._running.pop(node + 1)
        assert len(chunk.rows_N) == 3
    with pytest.raises(UserError, match="no folder"):
        reading._take_in(chunk, read_by("98"))
    # Of one that sees the folder something is known.
    reading._take_in(chunk, read_by("98", (1, 9), (2, 9), AWAY))
    assert not reading._running
    assert reading._sizes_N2.tolist() == [[1, 9], [2, 9], [-1, -1]]


def test_a_second_look_for_which_there_is_no_room_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(headers, "_LOOK_SECONDS", 0.2)
    monkeypatch.setattr(headers, "_SECOND_LOOK_SECONDS", 1.0)
    monkeypatch.setattr(headers, "find_nodes", lambda: [Node("has just left", 1)])
    Image.new("RGB", (3, 9)).save(tmp_path / "a.png")
    assert read_sizes_in_parallel(str(tmp_path), ["a.png", "b.png"]).tolist() == [[3, 9], [-1, -1]]


def test_a_process_that_dies_again_and_again_is_told_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headers, "_RETRIES", 0)
    monkeypatch.setattr(headers, "_read_chunk", lambda *_: os._exit(1))
    with pytest.raises(UserError, match=r"^Ray failed, and would fail again \(WorkerCrashedError"):
        read_sizes_in_parallel(str(tmp_path), ["a.png"])


def test_an_image_that_is_nowhere_is_away(tmp_path: Path) -> None:
    Image.new("RGB", (3, 9)).save(tmp_path / "a.png")
    assert read_sizes_in_parallel(str(tmp_path), ["a.png", "b.png"]).tolist() == [[3, 9], [-1, -1]]
