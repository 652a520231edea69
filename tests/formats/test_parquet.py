"""`boxes.parquet`: all that is known of a box, and tables of others."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from psol_ray.errors import UserError
from psol_ray.formats import parquet
from psol_ray.formats.matching import read_boxes
from psol_ray.tables.schemas import boxes_array

from .synthetic import CATALOG_3, NAMES, make_boxes, make_catalog, table_of

COLUMNS = ("image_id", "x0", "y0", "x1", "y1")


def test_a_row_an_image_with_all_that_is_known(tmp_path: Path) -> None:
    catalog = make_catalog()
    parquet.write(tmp_path / "out", catalog, make_boxes(catalog))
    table = pq.read_table(tmp_path / "out/boxes.parquet")
    assert table["image_id"].to_pylist() == NAMES
    assert table["class_name"].to_pylist() == ["n01", "n02", "n01", "n02"]
    assert table["split"].to_pylist() == ["train", "train", "test", "test"]
    assert table["status"].to_pylist() == ["ok"] * 4
    assert {"width", "height", "score", "sign_margin", "mean_heat", "area_fraction"} < set(table.column_names)
    np.testing.assert_array_equal(boxes_array(table), boxes_array(make_boxes(catalog)))


def test_predictions_have_no_status(tmp_path: Path) -> None:
    parquet.write(tmp_path / "out", CATALOG_3, table_of(a=[-3, 12.5, 30.25, 60]))
    table = pq.read_table(tmp_path / "out/boxes.parquet")
    assert boxes_array(table).tolist() == [[-3, 12.5, 30.25, 60]]  # as it was
    assert "status" not in table.column_names


def test_tables_of_others(tmp_path: Path) -> None:
    columns = {"image_id": [f"/x/{name}" for name in NAMES[:2]], "note": ["", ""]}
    corners = {name: pa.array([i, i + 10]) for i, name in enumerate(("x0", "y0", "x1", "y1"))}
    pq.write_table(pa.table({**columns, **corners}), tmp_path / "mine.parquet")
    table = read_boxes("parquet", str(tmp_path / "mine.parquet"), make_catalog())
    assert boxes_array(table).tolist() == [[0, 1, 2, 3], [10, 11, 12, 13]]


@pytest.mark.parametrize(
    ("columns", "complaint"),
    [
        (None, "boxes.imported.path: found no boxes.parquet in"),
        ({"image_id": ["a"], "x0": [1]}, "found the columns image_id, x0, expected image_id, x0, y0, x1, y1; add"),
        ({name: ["a"] for name in COLUMNS}, "boxes.parquet: found Failed to parse string"),
        ({name: pa.array([None], pa.float32()) for name in COLUMNS}, "boxes.parquet: 1 image () not in the catalog"),
    ],
)
def test_what_cannot_be_imported(tmp_path: Path, columns: dict | None, complaint: str) -> None:
    if columns:
        pq.write_table(pa.table(columns), tmp_path / "boxes.parquet")
    with pytest.raises(UserError, match=re.escape(complaint)) as refusal:
        read_boxes("parquet", str(tmp_path), make_catalog())
    assert "\n" not in str(refusal.value)


def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path) -> None:
    (tmp_path / "boxes.parquet").write_text("image_id,x0\n")
    with pytest.raises(UserError, match=r"boxes.parquet: found .*, expected Parquet with four numbers an image"):
        read_boxes("parquet", str(tmp_path), make_catalog())
