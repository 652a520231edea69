"""COCO's files: what is theirs to say, and what is left out of them and told."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from psol_ray.catalog.layouts import list_data
from psol_ray.catalog.passed_over import describe
from psol_ray.errors import UserError

from .annotated import catalog_of, coco
from .trees import boxes_of, rows_of, save, touch, write

FILE = "annotations/instances_train.json"
A, B = [1, 2, 30, 20], [5, 5, 10, 10]


def tree(
    root: Path, images: list[dict[str, Any]], objects: list[dict[str, Any]], classes: tuple[str, ...] = ("cat", "dog")
) -> Path:
    write(root / FILE, coco(images, objects, classes))
    for image in images:
        save(root / "train" / str(image["file_name"]).replace("\\", "/").rpartition("/")[2], (64, 48))
    return root


def named(*names: str) -> list[dict[str, Any]]:
    return [{"file_name": name} for name in names]


def box(image: object, category: object, numbers: object, **more: Any) -> dict[str, Any]:
    return {"image_id": image, "category_id": category, "bbox": numbers, **more}


def test_an_image_is_of_the_class_with_the_largest_area_and_has_its_boxes(tmp_path: Path) -> None:
    objects = [box(1, 1, B), box(1, 2, [0, 0, 8, 8]), box(1, 2, [20, 20, 9, 9]), box(2, 2, B), box(2, 1, B)]
    listing = list_data("coco", str(tree(tmp_path, named("a.jpg", "b.jpg"), objects)))
    assert listing.images["class_name"].to_pylist() == ["dog", "dog"]
    catalog, _, _ = catalog_of("coco", tmp_path)
    assert boxes_of(catalog) == {"train/a.jpg": [(0, 0, 8, 8), (20, 20, 29, 29)], "train/b.jpg": [(5, 5, 15, 15)]}


def test_who_reads_the_boxes_otherwise_may_see_another_class(tmp_path: Path) -> None:
    root = tree(tmp_path, named("a.jpg"), [box(1, 1, [0, 0, 20, 20]), box(1, 2, [40, 40, 41, 41])])
    for coordinates, expected in (("pixels_xywh", "dog"), ("pixels", "cat")):
        listing = list_data("coco", str(root), coordinates=coordinates)  # type: ignore[arg-type]
        assert listing.images["class_name"].to_pylist() == [expected]


def test_without_annotation_of_crowds_alone_and_unnamed(tmp_path: Path) -> None:
    objects = [box(1, 1, A), box(2, 1, A, iscrowd=1), box(1, 2, [0, 0, 60, 40], iscrowd=1)]
    save(tmp_path / "train/nobodys.jpg", (9, 9))
    listing = list_data("coco", str(tree(tmp_path, named("a.jpg", "b.jpg", "c.jpg"), objects)))
    assert rows_of(listing.images) == [("train/a.jpg", "train", 0)]
    assert describe(listing.passed_over) == "2 boxes of crowds, 3 without a label"
    assert listing.remarks == ["there is no test split"]


def test_a_class_without_a_box(tmp_path: Path) -> None:
    objects = [{"image_id": 1, "category_id": 2}, box(2, 1, []), box(3, 1, None)]
    catalog, _, gaps = catalog_of("coco", tree(tmp_path, named("a.jpg", "b.jpg", "c.jpg"), objects))
    assert catalog["class_name"].to_pylist() == ["cat", "cat", "dog"]
    assert boxes_of(catalog) == {}
    assert not gaps


@pytest.mark.parametrize(
    ("objects", "told"),
    [
        (
            [box(1, 1, A), box(2, 77, A), box(2, 1, A)],
            "left out 1 annotations of a category that is not there (category_id 77 of train/b.jpg)",
        ),
        ([box(1, 1, A), box(9, 1, A)], "left out 1 annotations of images that it does not list (image_id 9)"),
        ([box(1, 1, A), box(1, 1, [1, 2, 3])], "left out 1 boxes that are no four finite numbers (train/a.jpg)"),
        ([box(1, 1, A), box(1, 1, ["x"] * 4)], "left out 1 boxes that are no four finite numbers (train/a.jpg)"),
        (
            [box(1, 1, A), box(2, 1, [50, 40, -9, 4])],
            "left out 1 of 2 boxes that are inside out or outside their images (50, 40, -9, 4 of train/b.jpg with 64 x",
        ),
        (
            [box(1, 1, A), box(2, 1, [500, 40, 9, 4])],
            "left out 1 of 2 boxes that are inside out or outside their images (500, 40, 9, 4 of train/b.jpg with 64 x",
        ),
    ],
)
def test_single_things_that_are_wrong_are_left_out_and_told(
    tmp_path: Path, objects: list[dict[str, Any]], told: str
) -> None:
    catalog, _, gaps = catalog_of("coco", tree(tmp_path, named("a.jpg", "b.jpg"), objects))
    assert boxes_of(catalog)["train/a.jpg"] == [(1, 2, 31, 22)]
    (gap,) = gaps
    assert told in gap
    assert gap.startswith("catalog: ")
    assert gap.endswith("run `psol index --overwrite`")


def test_few_of_many_are_a_remark(tmp_path: Path) -> None:
    root = tree(tmp_path, named("a.jpg"), [*[box(1, 1, [i, 1, 9, 9]) for i in range(50)] * 2, box(1, 3, A)])
    _, listing, gaps = catalog_of("coco", root)
    assert not gaps
    assert any(
        "1 annotations of a category that is not there (category_id 3 of train/a.jpg)" in each
        for each in listing.remarks
    )


def test_two_images_of_one_name_or_one_id(tmp_path: Path) -> None:
    images = [*named("a.jpg", "a.jpg", "b.jpg", "c.jpg"), {"id": 4, "file_name": "d.jpg"}]
    objects = [box(i, 1, A) for i in (1, 2, 3, 4)]
    catalog, _, gaps = catalog_of("coco", tree(tmp_path, images, objects))
    assert catalog["image_id"].to_pylist() == ["train/b.jpg"]
    assert "left out 2 images of a name that others have (train/a.jpg, train/a.jpg)" in gaps[0]
    assert "left out 2 images of an id that others have (train/c.jpg, train/d.jpg)" in gaps[1]


def test_an_image_that_two_files_name(tmp_path: Path) -> None:
    tree(tmp_path, named("a.jpg", "b.jpg"), [box(1, 1, A), box(2, 1, A)])
    write(tmp_path / "annotations/instances_val.json", coco(named("b.jpg"), [box(1, 1, A)], ["cat"]))
    (tmp_path / "train").rename(tmp_path / "images")
    catalog, _, gaps = catalog_of("coco", tmp_path)
    assert catalog["image_id"].to_pylist() == ["images/a.jpg"]
    assert "left out 2 images that several files name (images/b.jpg, images/b.jpg)" in gaps[0]


def test_an_image_that_is_not_there_is_away(tmp_path: Path) -> None:
    tree(tmp_path, named("a.jpg", "b.jpg"), [box(1, 1, A), box(2, 1, A)])
    (tmp_path / "train/b.jpg").unlink()
    assert len(list_data("coco", str(tmp_path)).images) == 2


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "found Expecting property name"),
        ("[]", "found no images, annotations and categories"),
        ('{"images": [], "annotations": [], "categories": []}', "found no images and no annotations and no categories"),
        (json.dumps({"images": [{"id": 1, "file_name": "a.jpg"}]}), "found no annotations and no categories in it"),
        ("[" * 100_000, "found maximum recursion depth exceeded"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    write(tmp_path / FILE, text)
    touch(tmp_path, "train/a.jpg")
    with pytest.raises(UserError, match=re.escape(f"{tmp_path / FILE}: {complaint}")):
        list_data("coco", str(tmp_path))


def test_a_file_without_its_images(tmp_path: Path) -> None:
    write(tmp_path / FILE, coco(named("a.jpg", "b.jpg", "c.jpg", "d.jpg"), [box(1, 1, A)], ["cat"]))
    complaint = "found none of the 4 images that it names (a.jpg, b.jpg, c.jpg and 1 more) beside it, in images/"
    with pytest.raises(UserError, match=re.escape(f"{tmp_path / FILE}: {complaint}")):
        list_data("coco", str(tmp_path))


@pytest.mark.parametrize("text", ["{", coco(named("x.jpg"), [box(1, 1, A)], ["cat"])])
def test_training_images_are_had_without_the_test_images(tmp_path: Path, text: str) -> None:
    tree(tmp_path, named("a.jpg"), [box(1, 1, A)])
    write(tmp_path / "annotations/instances_val.json", text)
    catalog, _, gaps = catalog_of("coco", tmp_path)
    assert catalog["image_id"].to_pylist() == ["train/a.jpg"]
    assert re.match(r"catalog: .*instances_val.json: found .*; run `psol index --overwrite` then$", gaps[0])


@pytest.mark.parametrize(
    ("file", "name", "place"),
    [
        ("annotations/instances_train2017.json", "a.jpg", "train2017/a.jpg"),
        ("annotations/instances_train2017.json", "a.jpg", "images/train2017/a.jpg"),
        ("annotations/instances_train2017.json", "a.jpg", "images/a.jpg"),
        ("annotations/instances_default.json", "deep/a.jpg", "images/deep/a.jpg"),
        ("train/_annotations.coco.json", "a.jpg", "train/a.jpg"),
        ("labels.json", "a.jpg", "data/a.jpg"),
        ("result.json", "images\\1\\a.jpg", "images/1/a.jpg"),
        ("result.json", "../images/./a.jpg", "images/a.jpg"),
        ("coco.json", "/home/me/photos/a.jpg", "images/a.jpg"),
        ("coco.json", "C:/photos/a b é.JPG", "a b é.JPG"),
    ],
)
def test_images_are_found_where_programs_put_them(tmp_path: Path, file: str, name: str, place: str) -> None:
    write(tmp_path / file, coco(named(name), [box(1, 1, A)], ["cat"]))
    save(tmp_path / place, (64, 48), format="JPEG")
    catalog, listing, _ = catalog_of("coco", tmp_path)
    assert boxes_of(catalog) == {place: [(1, 2, 31, 22)]}
    assert not listing.passed_over


def test_sizes_of_other_images_are_refused(tmp_path: Path) -> None:
    images = [{"file_name": f"{i}.jpg", "width": 48, "height": 64} for i in range(4)]
    with pytest.raises(UserError, match=r"instances_train.json: found sizes that are not the images' for 4 .*swapped"):
        catalog_of("coco", tree(tmp_path, images, [box(i, 1, A) for i in range(1, 5)]))


def test_classes_that_are_only_tested_are_passed_over(tmp_path: Path) -> None:
    tree(tmp_path, named("a.jpg"), [box(1, 1, A)])
    write(
        tmp_path / "annotations/instances_val.json",
        coco(named("v.jpg", "w.jpg"), [box(1, 1, A), box(2, 2, A)], ["cat", "dog"]),
    )
    save(tmp_path / "val/v.jpg", (64, 48))
    save(tmp_path / "val/w.jpg", (64, 48))
    listing = list_data("coco", str(tmp_path))
    assert rows_of(listing.images)[1:] == [("val/v.jpg", "test", 0)]
    assert describe(listing.passed_over) == "1 test images of classes without training images (dog)"


def test_only_test_images(tmp_path: Path) -> None:
    write(tmp_path / "annotations/instances_val2017.json", "{}")
    with pytest.raises(UserError, match="found only files of test images"):
        list_data("coco", str(tmp_path))


def test_ids_may_be_texts_and_objects_may_hold_others(tmp_path: Path) -> None:
    images = [{"id": "x1", "file_name": "a.jpg", "meta": {"file_name": "other.jpg"}}]
    objects = [box("x1", 1, A, attributes={"id": 7, "name": "cat"}, segmentation={"counts": "x", "size": [1, 2]})]
    catalog, _, gaps = catalog_of("coco", tree(tmp_path, images, objects))
    assert boxes_of(catalog) == {"train/a.jpg": [(1, 2, 31, 22)]}
    assert not gaps
