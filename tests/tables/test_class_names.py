"""Names of a catalog's classes."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from synthetic.tables import catalog_of, image

from psol_ray.tables.class_names import class_names


def test_names_are_in_the_order_of_labels_and_every_number_has_one() -> None:
    rows = [image(f"{i}.jpg", label=label, class_name=name) for i, (label, name) in enumerate([(3, "b"), (0, "a")] * 2)]
    assert class_names(catalog_of(*rows)) == ["a", "label 1", "label 2", "b"]
    assert class_names(pa.concat_tables([catalog_of(rows[0]), catalog_of(rows[1])])) == class_names(catalog_of(*rows))
    # Two classes of one name are two.
    assert class_names(catalog_of(image("0.jpg", class_name="a"), image("1.jpg", label=1, class_name="a"))) == ["a"] * 2
    assert class_names(catalog_of()) == []


def test_pandas_is_not_imported_for_it(tmp_path: Path) -> None:
    path = tmp_path / "catalog.parquet"
    pq.write_table(catalog_of(image("0.jpg", class_name="a")), path)
    code = (
        "import sys, pyarrow.parquet as pq; from psol_ray.tables.class_names import class_names;"
        "assert class_names(pq.ParquetFile(sys.argv[1]).read()) == ['a']; sys.exit('pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode == 0
