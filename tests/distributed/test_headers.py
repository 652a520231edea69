"""Sizes read by tasks."""

from pathlib import Path

import pytest
from PIL import Image

from psol_ray.distributed import headers
from psol_ray.distributed.headers import read_sizes_in_parallel
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
    assert "missing" in str(raised.value)
    assert "\n" not in str(raised.value)
