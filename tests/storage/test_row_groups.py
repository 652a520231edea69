"""Row groups are decoded once for all that want them, and take no more memory than they may."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from synthetic.row_groups import peak_memory, write_one_group

from psol_ray.storage import row_groups
from psol_ray.storage.addresses import Cell
from psol_ray.storage.ahead import fetched, read_fetched
from psol_ray.storage.reader import read
from psol_ray.storage.row_groups import RowGroups

IMAGES = pa.chunked_array([[b"image"]])


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The row groups that are decoded in the test, one after the other."""
    groups: list[int] = []
    decode = pq.ParquetFile.read_row_group

    def counted(file: pq.ParquetFile, group: int, **options: Any) -> pa.Table:
        groups.append(group)
        return decode(file, group, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", counted)
    return groups


def test_a_group_is_decoded_once_for_all_that_is_fetched(tmp_path: Path, decoded: list[int]) -> None:
    images = write_one_group(tmp_path / "a.parquet", 500, 1000)
    cells = [Cell(str(tmp_path), "a.parquet", row) for row in range(500)]
    with fetched(cells):
        assert [read_fetched(cell) for cell in cells] == images
    assert decoded == [0]


def test_a_group_is_decoded_once_for_all_threads(tmp_path: Path, decoded: list[int]) -> None:
    images = write_one_group(tmp_path / "b.parquet", 64, 100_000)
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(lambda row: read(Cell(str(tmp_path), "b.parquet", row)), range(64))) == images
    assert decoded == [0]


def test_what_is_decoded_at_once_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_groups, "_MOST_BYTES", 100)
    groups, lock, sizes, most = RowGroups(), threading.Lock(), [40, 30, 500, 60], 0
    now: dict[int, int] = {}

    def use(i: int) -> None:
        nonlocal most
        with groups.using(i, sizes[i % 4], lambda: IMAGES):
            with lock:
                now[i] = sizes[i % 4]
                assert len(now) == 1 or sum(now.values()) <= 100
                most = max(most, len(now))
            time.sleep(0.002)
            with lock:
                del now[i]

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(use, range(100)))
    assert most > 1


def test_the_groups_used_last_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_groups, "_MOST_BYTES", 100)
    groups, decoded = RowGroups(), []

    def decode(name: str) -> pa.ChunkedArray:
        decoded.append(name)
        return IMAGES

    for name in "abacab":
        with groups.using(name, 40, lambda name=name: decode(name)) as images:  # type: ignore[misc]
            assert images is IMAGES
    assert decoded == ["a", "b", "c", "b"]


def test_a_group_that_could_not_be_read_is_tried_by_the_next() -> None:
    groups = RowGroups()

    def fail() -> pa.ChunkedArray:
        raise OSError("away")

    with pytest.raises(OSError, match="away"), groups.using("a", 10, fail):
        pass
    with groups.using("a", 10, lambda: IMAGES) as images:
        assert images is IMAGES


def test_a_large_group_is_not_in_memory_many_times(tmp_path: Path) -> None:
    write_one_group(tmp_path / "large.parquet", 2000, 20_000)
    peak = peak_memory(
        "from psol_ray.storage.addresses import Cell\nfrom psol_ray.storage.ahead import fetched, read_fetched",
        f"cells = [Cell({str(tmp_path)!r}, 'large.parquet', row) for row in range(2000)]\n"
        "with fetched(cells):\n    [len(read_fetched(cell)) for cell in cells]",
    )
    assert peak < 400, "40 MB of images"
