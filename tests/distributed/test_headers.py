"""Sizes read by tasks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from psol_ray.distributed import headers
from psol_ray.distributed.headers import read_sizes_in_parallel
from psol_ray.distributed.node_checks import NodeChecks, Probe
from psol_ray.distributed.shares import Node
from psol_ray.errors import UserError

pytestmark = pytest.mark.usefixtures("cluster")


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


def test_what_one_machine_does_not_see_is_read_on_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[int] = []
    monkeypatch.setattr(headers._Chunks, "_begin", lambda _, start: begun.append(start))
    monkeypatch.setattr(headers, "find_nodes", lambda: [Node(name, 1) for name in ("first", "second", "unfit")])
    checks = NodeChecks(Probe(str(tmp_path)), faults={"unfit": "no mount"})
    chunks = headers._Chunks(str(tmp_path), {7: ["a.png"]}, 100, checks, None)  # type: ignore[arg-type]
    nothing = np.zeros((0, 2), np.int32)
    chunks._try_elsewhere(7, headers._Read("first", nothing, UserError("no folder")), is_known=False)
    assert begun == [7]
    # The last one sees the folder and not the image: that is what is known then.
    chunks._try_elsewhere(7, headers._Read("second", np.array([[-1, -1]], np.int32)), is_known=True)
    assert begun == [7]
    with pytest.raises(UserError, match="no folder"):
        chunks._try_elsewhere(7, headers._Read("second", nothing, UserError("no folder")), is_known=False)


def test_an_image_that_is_nowhere_is_away(tmp_path: Path) -> None:
    Image.new("RGB", (3, 9)).save(tmp_path / "a.png")
    assert read_sizes_in_parallel(str(tmp_path), ["a.png", "b.png"]).tolist() == [[3, 9], [-1, -1]]
