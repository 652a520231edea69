"""The PSOL authors' JSON: on boxes drawn by hand, and with paths of another machine."""

import json
import re
from pathlib import Path

import pytest

from psol_ray.errors import UserError
from psol_ray.formats import psol_json
from psol_ray.formats.matching import read_boxes
from psol_ray.tables.schemas import boxes_array

from .synthetic import BOXES_3, CATALOG_3, catalog_of, make_catalog, table_of

BOX = [0.1, 0.1, 0.5, 0.5]


def test_there_is_a_file_a_class_with_corner_and_size_as_fractions(tmp_path: Path) -> None:
    assert psol_json.write(tmp_path / "out", CATALOG_3, BOXES_3) == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "cat_bbox.json",
        "dog_bbox.json",
        "unreadable.csv",
    ]
    assert json.loads((tmp_path / "out/dog_bbox.json").read_text()) == {"b.jpg": [0, 0, 1, 1]}
    cat = json.loads((tmp_path / "out/cat_bbox.json").read_text())
    assert cat == {"a.jpg": pytest.approx([0, 0.25, 0.3025, 0.75])}


def test_the_authors_paths_are_absolute(tmp_path: Path) -> None:
    for name in ("n01", "n02"):
        boxes = {f"/mnt/ramdisk/ImageNet/train/{name}/a.jpg": [0.25, 0.5, 0.5, 0.5]}
        (tmp_path / f"{name}_bbox.json").write_text(json.dumps(boxes))
        (tmp_path / f"{name}_trans.json").write_text("{}")
    found = read_boxes("psol_json", str(tmp_path), make_catalog())
    assert boxes_array(found).tolist() == [[125, 187.5, 375, 375], [83.25, 250, 249.75, 500]]


def test_a_class_that_no_file_can_be_named_after_is_written_all_the_same(tmp_path: Path) -> None:
    catalog = catalog_of(("a.jpg", 0, "../birds/owl", 9, 9), ("b.jpg", 1, "owl", 9, 9), ("c.jpg", 2, "Owl", 9, 9))
    psol_json.write(tmp_path / "out", catalog, table_of(a=[0, 0, 9, 4.5], b=[0, 0, 9, 9], c=[0, 0, 9, 9]))
    names = sorted(path.name for path in tmp_path.rglob("*_bbox.json"))
    assert names[:2] == ["%2E./birds/owl_bbox.json".replace("/", "%2F"), "Owl_bbox.json"]
    assert len({name.lower() for name in names}) == 3
    table = read_boxes("psol_json", str(tmp_path / "out"), catalog)
    assert boxes_array(table).tolist() == [[0, 0, 9, 4.5], [0, 0, 9, 9], [0, 0, 9, 9]]


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"n01.json": {}}, "{folder}: found no file *_bbox.json, expected one a class"),
        ({"n01_bbox.json": {}}, "found no box, expected one for each of 4 images"),
        ({"n01_bbox.json": '{"a": '}, "n01_bbox.json: found Expecting value"),
        ({"n01_bbox.json": "[" * 100_000}, "n01_bbox.json: found maximum recursion depth exceeded"),
        (
            {"n01_bbox.json/x": "{}"},
            "n01_bbox.json cannot be read (no regular file), expected boxes in the format psol",
        ),
        ({"n01_bbox.json": [BOX]}, "n01_bbox.json: found no mapping, expected one from image"),
        ({"n01_bbox.json": {"n01/a.jpg": BOX[:3], "x": "y"}}, "2 images (n01/a.jpg, x) without a box of four"),
        ({"n01_bbox.json": {"n01/a.jpg": [*BOX[:3], True]}}, "1 image (n01/a.jpg) without a box of four"),
        ({"n01_bbox.json": {"n01/b.jpg": {"x": 1}}}, "1 image (n01/b.jpg) without a box of four"),
        ({"n01_bbox.json": {"/x/n03/a.jpg": BOX}}, "1 image (/x/n03/a.jpg) not in the catalog"),
        ({"n01_bbox.json": {"a.jpg": BOX}}, "1 image (a.jpg) that may be any of several in the catalog"),
        ({"n01_bbox.json": '{"n01/b.jpg": [0, 0, 1, 1], "n01/b.jpg": [0, 0, 1, 1]}'}, "with more than one box"),
        ({f"{n}_bbox.json": {"n01/b.jpg": BOX} for n in "ab"}, "1 image (test/n01/b.jpg) with more than one"),
        ({"n01_bbox.json": '{"n01/b.jpg": [0, 0, NaN, 1]}'}, "1 image (test/n01/b.jpg) with a box that is not f"),
        ({"n01_bbox.json": {"n01/b.jpg": [0, 0, -0.5, 1]}}, "1 image (test/n01/b.jpg) with a box that is insid"),
        ({"n01_bbox.json": {"n01/b.jpg": [0.5, 0, 0.6, 1]}}, "1 image (test/n01/b.jpg) with a box that reache"),
        ({"n01_bbox.json": {"n01/b.jpg": BOX}}, "1 image (test/n02/c 1.jpg) of 2 test images without a box"),
    ],
)
def test_what_cannot_be_read_is_told_in_one_sentence(tmp_path: Path, files: dict[str, object], complaint: str) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(UserError, match=re.escape(complaint.format(folder=tmp_path))) as refusal:
        read_boxes("psol_json", str(tmp_path), make_catalog())
    assert "\n" not in str(refusal.value)
