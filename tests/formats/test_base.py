"""Which rows are exported, and that a folder appears whole or not at all."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from psol_ray.errors import UserError
from psol_ray.formats.base import export_rows, exporting, whole_folder

from .synthetic import CATALOG_3, NAN_BOX, read_lines, table_of


def test_appears_at_the_end_only(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "out"
    with whole_folder(target) as unfinished:
        (unfinished / "a.txt").write_text("a")
        assert not target.exists()
        assert unfinished.parent == target.parent  # a rename within one file system
    assert [path.name for path in target.iterdir()] == ["a.txt"]
    assert [path.name for path in target.parent.iterdir()] == ["out"]


def test_takes_the_place_of_an_empty_folder(tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    with whole_folder(str(target)) as unfinished:
        (unfinished / "a.txt").write_text("a")
    assert (target / "a.txt").read_text() == "a"


def test_an_exception_leaves_nothing(tmp_path: Path) -> None:
    def fill_the_disk() -> None:
        with whole_folder(tmp_path / "out") as unfinished:
            (unfinished / "a.txt").write_text("a")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        fill_the_disk()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["file", "full"])
def test_refuses_what_is_there(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    refusal = pytest.raises(UserError, match="found something there, expected a new or empty folder")
    with refusal, whole_folder(tmp_path / name):
        pytest.fail("entered")
    assert sorted(tmp_path.rglob("*")) == before


def test_refuses_a_uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refusal = pytest.raises(UserError, match="s3://bucket/out: exports go to a local folder")
    with refusal, whole_folder("s3://bucket/out"):
        pytest.fail("entered")
    assert list(tmp_path.iterdir()) == []


def test_rows_with_a_box_are_in_the_order_of_the_catalog_and_the_others_are_named() -> None:
    rows = export_rows(CATALOG_3, table_of(c=[0, 0, 1, 1], a=[5, 6, 5, 9], b=[0, 0, 40, 20]))
    assert rows.image_ids == ["b.jpg", "a.jpg"]
    assert rows.boxes_N4.tolist() == [[0, 0, 40, 20], [5, 6, 5, 9]]  # a box without area is a box
    assert rows.sizes_N2.tolist() == [[40, 20], [100, 50]]
    assert (rows.unreadable, rows.num_left_out) == (["c.jpg"], 1)
    assert export_rows(CATALOG_3, table_of(a=NAN_BOX, b=NAN_BOX)).unreadable == ["b.jpg", "a.jpg"]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_half_a_box_is_refused(value: float) -> None:
    with pytest.raises(UserError, match=r"1 image \(a.jpg\) readable, but with a box that is not finite"):
        export_rows(CATALOG_3, table_of(a=[0, 0, value, 1]))


def test_images_that_cannot_be_read_are_listed_beside_the_boxes(tmp_path: Path) -> None:
    names = ['"a", b.jpg', "c\nd.jpg"]
    catalog = CATALOG_3.slice(0, 2).set_column(0, "image_id", pa.array(names))
    table = table_of(a=NAN_BOX, b=NAN_BOX).set_column(0, "image_id", pa.array(names))
    with exporting(tmp_path / "out", catalog, table) as (unfinished, rows):
        assert len(rows.images) == 0
        (unfinished / "a.txt").write_text("a")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.txt", "unreadable.csv"]
    assert read_lines(tmp_path / "out/unreadable.csv") == ["image_id", '"""a"", b.jpg"', '"c', 'd.jpg"', ""]


def test_where_every_image_has_a_box_there_is_no_list(tmp_path: Path) -> None:
    with exporting(tmp_path / "out", CATALOG_3, table_of(a=[0, 0, 1, 1])) as (_, rows):
        assert rows.num_left_out == 0
    assert list((tmp_path / "out").iterdir()) == []
