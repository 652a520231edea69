import csv
import shutil
import unicodedata
from pathlib import Path

import pytest

from psol_ray.catalog.layouts import list_data, list_images
from psol_ray.catalog.listing import LISTING
from psol_ray.catalog.passed_over import Reason, describe
from psol_ray.errors import UserError

from .trees import Box, boxes_of, rows_of, solution_csv, touch, voc_xml, write

TENCH, DOG = "n01440764", "n02102040"
TRAIN = [f"train/{TENCH}/{TENCH}_1.JPEG", f"train/{DOG}/{DOG}_2.JPEG"]
FLAT = ["val/V_1.JPEG", "val/V_2.JPEG"]
SORTED = [f"val/{DOG}/V_1.JPEG", f"val/{TENCH}/V_2.JPEG"]
VAL_CSV = solution_csv([("V_1", f"{DOG} 1 2 3 4 {DOG} 5 6 7 8"), ("V_2", f"{TENCH} 0 0 9 9"), ("V_3", "n0 1 2 3 4")])
VAL_BOXES: dict[int, list[Box]] = {1: [(1, 2, 3, 4), (5, 6, 7, 8)], 2: [(0, 0, 9, 9)]}
TREES = {"kaggle": "ILSVRC/Data/CLS-LOC/", "kaggle_inside": "Data/CLS-LOC/", "image_net_org": ""}


def listed(root: Path) -> list[tuple[str, str, int]]:
    return rows_of(list_images("imagenet", str(root)))


def boxes(root: Path) -> dict[str, list[Box]]:
    """By file name without suffix."""
    return {Path(name).stem: found for name, found in boxes_of(list_images("imagenet", str(root))).items()}


def val_boxes() -> dict[str, list[Box]]:
    return {f"V_{i}": found for i, found in VAL_BOXES.items()}


def write_xml(folder: Path) -> None:
    write(folder / "V_1.xml", voc_xml(DOG, *VAL_BOXES[1]))
    write(folder / "V_2.xml", voc_xml(TENCH, *VAL_BOXES[2]))


def test_what_is_passed_over_and_what_says_boxes(tmp_path: Path) -> None:
    touch(tmp_path, *TRAIN, f"train/{DOG}/{DOG}.tar", *FLAT, "test/T_1.JPEG", "val/Thumbs.db")
    write_xml(tmp_path / "val")  # beside the images, where they are annotations
    found = list_data("imagenet", str(tmp_path))
    assert found.annotations == [tmp_path / "val"]
    assert describe(found.passed_over) == (
        f"1 archives that are not unpacked ({DOG}.tar), 1 left behind by other programs (Thumbs.db),"
        " 1 folders that are not read (test)"
    )
    write(tmp_path / "LOC_val_solution.csv", VAL_CSV)
    found = list_data("imagenet", str(tmp_path))
    assert found.annotations == [tmp_path / "LOC_val_solution.csv"]
    assert found.passed_over[Reason.SUFFIX, ".xml"] == 2


@pytest.mark.parametrize("annotated_by", ["csv", "xml"])
def test_names_in_other_unicode_forms_are_the_same(tmp_path: Path, annotated_by: str) -> None:
    nfc, nfd = (unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD"))
    touch(tmp_path, f"train/{nfd}/1.JPEG", f"val/{nfc}/{nfd}.JPEG")
    if annotated_by == "csv":
        write(tmp_path / "LOC_val_solution.csv", solution_csv([(nfc, f"{nfd} 1 2 3 4")]))
    else:
        write(tmp_path / f"bbox/val/{nfc}.xml", voc_xml(nfd, (1, 2, 3, 4)))
    listing = list_images("imagenet", str(tmp_path))
    assert listing["class_name"].to_pylist() == [nfc, nfc]
    assert boxes_of(listing) == {f"val/{nfc}/{nfd}.JPEG": [(1, 2, 3, 4)]}


@pytest.mark.parametrize("images", TREES.values(), ids=TREES)
def test_images_of_every_tree(tmp_path: Path, images: str) -> None:
    touch(tmp_path, *(images + name for name in TRAIN + FLAT), f"{images}train/{DOG}/{DOG}.tar")
    write(tmp_path / "LOC_val_solution.csv", VAL_CSV)
    assert list_images("imagenet", str(tmp_path)).schema.equals(LISTING)
    assert listed(tmp_path) == [
        (f"{images}{TRAIN[0]}", "train", 0),
        (f"{images}{TRAIN[1]}", "train", 1),
        (f"{images}val/V_2.JPEG", "test", 0),
        (f"{images}val/V_1.JPEG", "test", 1),
    ]
    assert boxes(tmp_path) == val_boxes()


@pytest.mark.parametrize(
    ("root", "images", "place"),
    [
        ("", "ILSVRC/Data/CLS-LOC/", ""),
        ("", "ILSVRC/Data/CLS-LOC/", "ILSVRC/"),
        ("ILSVRC", "ILSVRC/Data/CLS-LOC/", ""),
        ("ILSVRC", "ILSVRC/Data/CLS-LOC/", "ILSVRC/"),
        ("", "", ""),
    ],
)
def test_csv_files_in_or_beside_ilsvrc(tmp_path: Path, root: str, images: str, place: str) -> None:
    touch(tmp_path, *(images + name for name in TRAIN + FLAT))
    write(tmp_path / f"{place}LOC_val_solution.csv", VAL_CSV)
    write(tmp_path / f"{place}LOC_train_solution.csv", solution_csv([(f"{DOG}_2", f"{DOG} 1 1 2 2")]))
    assert boxes(tmp_path / root) == {**val_boxes(), f"{DOG}_2": [(1, 1, 2, 2)]}


def test_csv_beside_a_relative_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, *(f"ILSVRC/Data/CLS-LOC/{name}" for name in TRAIN + FLAT))
    write(tmp_path / "LOC_val_solution.csv", VAL_CSV)
    monkeypatch.chdir(tmp_path / "ILSVRC")
    assert boxes(Path(".")) == val_boxes()


@pytest.mark.parametrize(
    ("images", "xml"),
    [
        ("ILSVRC/Data/CLS-LOC/", "ILSVRC/Annotations/CLS-LOC/val"),
        ("Data/CLS-LOC/", "Annotations/CLS-LOC/val"),
        ("", "Annotations/CLS-LOC/val"),
        ("", "bbox/val"),
        ("", "val"),
    ],
)
@pytest.mark.parametrize("val", [FLAT, SORTED], ids=["flat", "sorted"])
def test_labels_and_boxes_from_xml(tmp_path: Path, images: str, xml: str, val: list[str]) -> None:
    touch(tmp_path, *(images + name for name in TRAIN + val))
    write_xml(tmp_path / xml)
    assert [label for *_, label in listed(tmp_path)] == [0, 1, 0, 1]
    assert boxes(tmp_path) == val_boxes()


def test_csv_goes_before_xml(tmp_path: Path) -> None:
    touch(tmp_path, *TRAIN, *FLAT)
    write(tmp_path / "LOC_val_solution.csv", VAL_CSV)
    write(tmp_path / "val/V_1.xml", "not XML")
    assert boxes(tmp_path) == val_boxes()


def test_class_folders_of_val_need_no_annotations(tmp_path: Path) -> None:
    touch(tmp_path, *TRAIN, *SORTED)
    assert listed(tmp_path)[2:] == [(SORTED[1], "test", 0), (SORTED[0], "test", 1)]
    assert boxes(tmp_path) == {}


def test_class_folders_of_val_with_a_csv(tmp_path: Path) -> None:
    touch(tmp_path, *TRAIN, *SORTED, f"val/{DOG}/extra.JPEG")
    write(tmp_path / "LOC_val_solution.csv", VAL_CSV)
    assert boxes(tmp_path) == val_boxes()


def test_without_val(tmp_path: Path) -> None:
    touch(tmp_path, *TRAIN, "ILSVRC2012_img_val.tar", "extra/a.JPEG", "lost.JPEG")
    assert listed(tmp_path) == [(TRAIN[0], "train", 0), (TRAIN[1], "train", 1)]
    found = list_data("imagenet", str(tmp_path))
    assert found.remarks == ["found no folder val, so there is no test split"]
    assert describe(found.passed_over) == (
        "1 archives that are not unpacked (ILSVRC2012_img_val.tar), 1 images beside the splits' folders (lost.JPEG),"
        " 1 folders that are not read (extra)"
    )


def remarks(root: Path) -> list[str]:
    return list(list_data("imagenet", str(root)).remarks)


def test_test_images_without_boxes_are_told_of_and_where_boxes_were_looked_for(tmp_path: Path) -> None:
    images = "ILSVRC/Data/CLS-LOC/"
    touch(tmp_path, *(images + name for name in TRAIN + SORTED))
    write_xml(tmp_path / "ILSVRC/Annotations/CLS-LOC/val" / DOG)  # a level too deep
    told = (
        "test images have no boxes: found neither LOC_val_solution.csv nor XML directly in"
        " ILSVRC/Annotations/CLS-LOC/val, ILSVRC/bbox/val, ILSVRC/Data/CLS-LOC/val"
    )
    assert remarks(tmp_path) == [told]
    write(tmp_path / "LOC_val_solution.csv", VAL_CSV)
    assert remarks(tmp_path) == []
    (remark,) = remarks(tmp_path / images)
    assert remark.endswith(f"; there is {tmp_path}/LOC_val_solution.csv, so set data.root to {tmp_path}")


def test_annotations_above_the_root_of_a_flat_val_are_told_of(tmp_path: Path) -> None:
    images = "ILSVRC/Data/CLS-LOC/"
    touch(tmp_path, *(images + name for name in TRAIN + FLAT))
    write(tmp_path / "LOC_val_solution.csv", VAL_CSV)
    hint = f"wnid folders; there is {tmp_path}/LOC_val_solution.csv, so set data.root to {tmp_path}$"
    with pytest.raises(UserError, match=hint):
        list_images("imagenet", str(tmp_path / images))


def test_training_boxes_of_other_images_are_told_of(tmp_path: Path) -> None:
    touch(tmp_path, *TRAIN, *SORTED)
    write(tmp_path / "LOC_val_solution.csv", VAL_CSV)
    write(tmp_path / "LOC_train_solution.csv", solution_csv([("n9_9", "n9 1 1 2 2")]))
    assert remarks(tmp_path) == ["LOC_train_solution.csv names none of the training images"]
    write(tmp_path / "LOC_train_solution.csv", solution_csv([(f"{DOG}_2", f"{DOG} 1 1 2 2")]))
    assert remarks(tmp_path) == []


def test_no_training_folder_names_all_places(tmp_path: Path) -> None:
    touch(tmp_path, "ILSVRC/readme.txt")
    with pytest.raises(UserError, match=r"expected one of ILSVRC/Data/CLS-LOC/train, Data/CLS-LOC/train, train;"):
        list_images("imagenet", str(tmp_path))


def test_flat_val_without_annotations_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path, *TRAIN, *(f"val/V_{i}.JPEG" for i in range(6)))
    with pytest.raises(
        UserError, match=r"val: found 6 images without annotation \(V_0, V_1, V_2 and 3 more\) as there"
    ):
        list_images("imagenet", str(tmp_path))


def test_flat_val_partly_annotated_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path, *TRAIN, *FLAT, "val/V_9.JPEG")
    write(tmp_path / "LOC_val_solution.csv", VAL_CSV)
    expected = r"found 1 images without annotation \(V_9\) in .*LOC_val_solution.csv"
    with pytest.raises(UserError, match=expected):
        list_images("imagenet", str(tmp_path))


def test_images_and_folders_in_val_are_an_error(tmp_path: Path) -> None:
    touch(tmp_path, *TRAIN, *FLAT, SORTED[0])
    with pytest.raises(UserError, match=rf"val: found 2 images \(V_1.JPEG, V_2.JPEG\) and 1 folders \({DOG}\)"):
        list_images("imagenet", str(tmp_path))


def test_an_empty_val_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path, *TRAIN, "val/readme.txt")
    with pytest.raises(UserError, match="val: found no class folders"):
        list_images("imagenet", str(tmp_path))


def test_a_class_of_val_that_train_lacks_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path, TRAIN[0], *FLAT)
    write(tmp_path / "LOC_val_solution.csv", VAL_CSV)
    with pytest.raises(UserError, match=rf"found 1 test images of 1 classes without training images \({DOG}\)"):
        list_images("imagenet", str(tmp_path))


def test_an_image_of_two_classes_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path, *TRAIN, *FLAT)
    rows = [("V_1", f"{DOG} 1 2 3 4"), ("V_2", f"{TENCH} 1 2 3 4 {DOG} 1 2 3 4")]
    write(tmp_path / "LOC_val_solution.csv", solution_csv(rows))
    with pytest.raises(UserError, match=r"objects of several classes in 1 images \(V_2\)"):
        list_images("imagenet", str(tmp_path))


def test_annotations_that_contradict_class_folders_are_an_error(tmp_path: Path) -> None:
    touch(tmp_path, *TRAIN, f"val/{DOG}/V_2.JPEG", f"val/{DOG}/V_1.JPEG")
    write(tmp_path / "LOC_val_solution.csv", VAL_CSV)
    with pytest.raises(UserError, match=r"found another class than the folder's for 1 images \(V_2\)"):
        list_images("imagenet", str(tmp_path))


def test_annotations_of_other_images_altogether_are_an_error(tmp_path: Path) -> None:
    touch(tmp_path, *TRAIN, f"val/{DOG}/renamed.JPEG")
    write(tmp_path / "LOC_val_solution.csv", VAL_CSV)
    with pytest.raises(UserError, match="found none of the validation images, expected names such as renamed;"):
        list_images("imagenet", str(tmp_path))


def test_images_that_annotations_cannot_tell_apart_are_an_error(tmp_path: Path) -> None:
    touch(tmp_path, *TRAIN, *FLAT, "val/V_1.png")
    write(tmp_path / "LOC_val_solution.csv", VAL_CSV)
    with pytest.raises(UserError, match="val: found several images named V_1, expected"):
        list_images("imagenet", str(tmp_path))


def test_the_real_images_have_the_boxes_of_the_csv(shared: Path) -> None:
    root = shared / "data/ILSVRC"
    listing = list_images("imagenet", str(root))
    assert [listing["split"].to_pylist().count(split) for split in ("train", "test")] == [1000, 500]
    found = {Path(name).stem: value for name, value in boxes_of(listing).items()}
    classes = dict(zip(listing["image_id"].to_pylist(), listing["class_name"].to_pylist(), strict=True))
    with (root / "LOC_val_solution.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert found.keys() == {row["ImageId"] for row in rows}
    for row in rows:
        words = row["PredictionString"].split()
        assert classes[f"Data/CLS-LOC/val/{row['ImageId']}.JPEG"] == words[0]
        assert [value for box in found[row["ImageId"]] for value in box] == [
            float(word) for i, word in enumerate(words) if i % 5
        ]


def test_real_csv_boxes_follow_the_convention_of_wsolevaluation(shared: Path) -> None:
    """Images here are 224 x 224: official boxes, scaled and rounded, are ours, with no offset of a pixel."""
    metadata = shared / "data/wsolevaluation_metadata/ILSVRC/test"
    sizes = dict(line.split(",", 1) for line in (metadata / "image_sizes.txt").read_text().split())
    official: dict[str, list[list[float]]] = {}
    for line in (metadata / "localization.txt").read_text().split():
        name, *corners = line.split(",")
        width, height = map(float, sizes[name].split(","))
        scales = (224 / width, 224 / height) * 2
        scaled = [float(value) * scale for value, scale in zip(corners, scales, strict=True)]
        official.setdefault(Path(name).stem, []).append(scaled)
    found = boxes_of(list_images("imagenet", str(shared / "data/ILSVRC")))
    assert len(found) == 500
    for image_id, boxes_found in found.items():
        for ours, theirs in zip(boxes_found, official[Path(image_id).stem], strict=True):
            assert ours == pytest.approx(theirs, abs=0.51)


def test_val_of_the_real_images_sorted_into_folders_lists_alike(shared: Path, tmp_path: Path) -> None:
    root = shared / "data/ILSVRC"
    listing = list_images("imagenet", str(root))
    for image_id, class_name in zip(listing["image_id"].to_pylist(), listing["class_name"].to_pylist(), strict=True):
        split = Path(image_id).parts[2]
        touch(tmp_path, f"{split}/{class_name}/{Path(image_id).name}")
    shutil.copy(root / "LOC_val_solution.csv", tmp_path)
    again = list_images("imagenet", str(tmp_path))
    for column in ("label", "class_name", "split", "gt_boxes"):
        assert again[column].equals(listing[column]), column
