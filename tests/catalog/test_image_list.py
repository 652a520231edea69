"""Lists of images: columns, splits, several boxes an image, and rows that are left out and told."""

import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from psol_ray.catalog.layouts import list_data
from psol_ray.catalog.passed_over import describe
from psol_ray.errors import UserError

from .annotated import catalog_of
from .trees import boxes_of, rows_of, save, touch, write

HEADER = "path,class,split,x0,y0,x1,y1\n"


def of(root: Path, text: str) -> list[tuple[str, str, str]]:
    """Path, class and split of each row of the listing."""
    write(root / "images.csv", text)
    images = list_data("list", str(root)).images
    return list(zip(*(images[name].to_pylist() for name in ("image_id", "class_name", "split")), strict=True))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("path\ncat/1.jpg\ndog/x/2.JPG\n", [("cat/1.jpg", "cat", "train"), ("dog/x/2.JPG", "x", "train")]),
        ("\ufeffclass, path ,note\r\ncat, a.jpg ,1\r\n7,b,2\r\n", [("b", "7", "train"), ("a.jpg", "cat", "train")]),
        (
            "path,class,split\na.jpg,cat,Train\nb.jpg,cat,valid\nc.jpg,cat,\nd.jpg,cat,test\n",
            [("a.jpg", "cat", "train"), ("c.jpg", "cat", "train"), ("b.jpg", "cat", "test")],
        ),
        (
            "path,class,split\na.jpg,cat,training\nd.jpg,cat,TEST\n",
            [("a.jpg", "cat", "train"), ("d.jpg", "cat", "test")],
        ),
        ('path,class\n"a, b.jpg","big ""cat"""\n', [("a, b.jpg", 'big "cat"', "train")]),
    ],
)
def test_columns(tmp_path: Path, text: str, expected: list[tuple[str, str, str]]) -> None:
    assert of(tmp_path, text) == expected


def test_images_directly_in_the_root_are_named_like_it(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("birds")
    (tmp_path / "birds").mkdir()
    assert of(tmp_path / "birds", "path\n1.jpg\n") == [("1.jpg", "birds", "train")]
    assert list_data("list", str(tmp_path / "link")).images["class_name"].to_pylist() == ["birds"]


def test_several_boxes_and_none(tmp_path: Path) -> None:
    for name in "abc":
        save(tmp_path / f"{name}.png", (60, 50))
    rows = "a.png,cat,,0,0,9,9\nb.png,cat,,,,,\na.png,cat,,1.5,2,30,4e1\na.png,dog,,0,0,3,3\nc.png,,,1,1,5,5\n"
    write(tmp_path / "images.csv", HEADER + rows)
    catalog, listing, gaps = catalog_of("list", tmp_path)
    assert rows_of(catalog) == [("a.png", "train", 0), ("b.png", "train", 0)]
    assert boxes_of(catalog) == {"a.png": [(0, 0, 9, 9), (1.5, 2, 30, 40)]}
    assert describe(listing.passed_over) == "1 without a label"
    assert not gaps


def test_paths_below_the_root_may_be_absolute(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "real").mkdir()
    text = f"path\n{tmp_path}/real/a/1.jpg\n./a/2.jpg\n{tmp_path}/link/a/3.jpg\n"
    write(tmp_path / "real/images.csv", text)
    ids = list_data("list", str(tmp_path / "link")).images["image_id"].to_pylist()
    assert ids == ["a/1.jpg", "a/2.jpg", "a/3.jpg"]
    with pytest.raises(
        UserError, match=r"images.csv: found 1 paths that are absolute or lead elsewhere \('/etc/x.jpg'"
    ):
        of(tmp_path / "real", "path\na/1.jpg\n/etc/x.jpg\n")


def test_parquet_says_the_same(tmp_path: Path) -> None:
    columns = {"path": ["a.png", "a.png", "b.png"], "class": pa.array([3, 3, 4], pa.int8()), "other": [1, 2, 3]}
    corners = {name: pa.array([1 + i, 5 + i, None], pa.float32()) for i, name in enumerate(("x0", "y0", "x1", "y1"))}
    pq.write_table(pa.table({**columns, **corners}), tmp_path / "images.parquet")
    listing = list_data("list", str(tmp_path))
    assert listing.images["class_name"].to_pylist() == ["3", "4"]
    assert boxes_of(listing.images) == {"a.png": [(1, 2, 3, 4), (5, 6, 7, 8)]}
    assert [path.name for path in listing.annotations] == ["images.parquet"]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (",cat,,,,,\n", "left out 1 rows without a path (row 2)"),
        ("b.png,cat\n", "left out 1 lines that have not 7 values (b.png,cat)"),
        ("b.png,cat,holdout,,,,\n", "left out 1 rows of no split that is known (holdout)"),
        ("b.png,cat,,,,,\nb.png,cat,val,,,,\n", "left out 1 images of several splits (b.png)"),
        ("b.png,cat,,,,,\nb.png,dog,,,,,\n", "left out 1 images of several classes and without a box (b.png)"),
        ("a.png,cat,,0,0,9,9\n", "left out 1 rows that say what another has said (a.png)"),
        ("a.png,cat,,1,2,3,\n", "left out 1 boxes that are no four numbers (a.png)"),
        ("a.png,cat,,1,2,three,4\n", "left out 1 boxes that are no four numbers (a.png)"),
        ("a.png,cat,,nan,2,3,4\n", "left out 1 boxes that are no four numbers (a.png)"),
        ("a.png,cat,,1,2,3,1e60\n", "left out 1 boxes that are no four finite numbers (a.png)"),
        ("a.png,cat,,9,9,2,2\n", "left out 1 of 2 boxes that are inside out or outside their images (9, 9, 2, 2 of a"),
        (
            "a.png,cat,,99,9,120,20\n",
            "left out 1 of 2 boxes that are inside out or outside their images (99, 9, 120, 2",
        ),
    ],
)
def test_single_rows_that_are_wrong_are_left_out_and_told(tmp_path: Path, rows: str, told: str) -> None:
    save(tmp_path / "a.png", (60, 50))
    write(tmp_path / "images.csv", f"{HEADER}a.png,cat,,0,0,9,9\n{rows}")
    catalog, _, gaps = catalog_of("list", tmp_path)
    assert boxes_of(catalog) == {"a.png": [(0, 0, 9, 9)]}
    (gap,) = gaps
    assert told in gap


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("file,class\na.jpg,cat\n", "line 1: found the columns file, class, expected path; add path"),
        ("Path\na.jpg\n", "found the columns Path, expected path; rename Path to path"),
        ("path,path\na,b\n", "found path more than once"),
        ("path,x0,y0\na.jpg,1,2\n", "expected path, x0, y0, x1, y1; add x1, y1"),
        ("path\n", "found no path in it, expected a row an image"),
        ("path,class\na.jpg,\n", "found no class for any of 1 training images"),
        ("path\n\xff\xfe\n", "expected CSV in UTF-8"),
        ("path,split\na.jpg,val\n", "found no class for any of 0 training images"),
    ],
)
def test_a_list_that_is_none(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "images.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=rf"images.csv.*{re.escape(complaint)}"):
        list_data("list", str(tmp_path))


def test_a_broken_parquet_file_and_two_lists(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"found neither images.csv and images.parquet"):
        list_data("list", str(tmp_path))
    write(tmp_path / "images.parquet", "no Parquet")
    with pytest.raises(UserError, match=r"images.parquet: found .*expected columns of texts and numbers"):
        list_data("list", str(tmp_path))
    touch(tmp_path, "images.csv")
    with pytest.raises(UserError, match=r"found both images.csv and images.parquet, expected one"):
        list_data("list", str(tmp_path))
