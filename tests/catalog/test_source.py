import os
from pathlib import Path

import pytest

from psol_ray.catalog.layouts import list_data
from psol_ray.catalog.listing import FILES
from psol_ray.catalog.source import FOLDER, Source, look_at

from .trees import solution_csv, touch, voc_xml, write

SECOND = 10**9


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    for name in ("train/dog/1.jpg", "train/cat/2.jpg", "val/dog/3.jpg"):
        write(root / name, name)
    write(root / "boxes.csv", "image_id,x0,y0,x1,y1\ntrain/dog/1.jpg,1,2,3,4\n")
    return root


def look(root: Path, layout: str = "folder") -> Source:
    return look_at(str(root), str(root), list_data(layout, str(root)))


def digest(root: Path) -> str:
    return look(root).digest


def test_sizes_and_times_of_files_in_the_listings_order(root: Path) -> None:
    os.utime(root / "train/cat/2.jpg", ns=(0, 1_234_567_890))
    (root / "train/dog/1.jpg").unlink()
    (root / "train/dog/1.jpg").symlink_to("gone")
    files = look(root).files
    assert files.schema.equals(FILES)
    assert files["bytes"].to_pylist() == [len("train/cat/2.jpg"), -1, len("val/dog/3.jpg")]
    assert files["modified"].to_pylist()[:2] == [1_234_567_890, -1]


def test_some_files_are_known_by_content_spread_over_the_listing(root: Path) -> None:
    samples = look(root).samples
    assert samples.keys() == {"train/dog/1.jpg", "train/cat/2.jpg", "val/dog/3.jpg"}
    write(root / "train/cat/2.jpg", "TRAIN/CAT/2.JPG")
    assert {name for name, found in look(root).samples.items() if found != samples[name]} == {"train/cat/2.jpg"}
    for i in range(1000):
        write(root / f"train/cat/{i:04}.jpg", "")
    names = list(look(root).samples)
    assert len(names) == 64
    assert (names[0], names[-1]) == ("train/cat/0000.jpg", "val/dog/3.jpg")


def test_a_root_is_what_it_is_and_not_how_it_is_spelt(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = look(root).root
    monkeypatch.chdir(root.parent)
    (root.parent / "link").symlink_to("data")
    for spelt in ("data", "data/", "./data/../data", "link", f"{root}/"):
        assert look_at(spelt, spelt, list_data("folder", spelt)).root == expected
    root.rename(root.parent / "other")
    (root.parent / "other/val").rename(root.parent / "data")  # another folder of that name
    assert {"path": str(root), "number": os.stat(root).st_ino} != expected


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda root: touch(root, "train/cat/4.jpg"), id="added"),
        pytest.param(lambda root: (root / "val/dog/3.jpg").rename(root / "val/dog/4.jpg"), id="renamed"),
        pytest.param(lambda root: write(root / "train/cat/2.jpg", "longer than before"), id="another size"),
        pytest.param(lambda root: os.utime(root / "train/cat/2.jpg", ns=(0, 0)), id="another time"),
    ],
)
def test_the_digest_changes_with_the_data(root: Path, change: object) -> None:
    before = digest(root)
    assert digest(root) == before
    change(root)  # type: ignore[operator]
    assert digest(root) != before


def test_the_truth_is_apart_because_no_box_and_no_network_is_made_of_it(root: Path) -> None:
    before = look(root)
    (root / "boxes.csv").unlink()
    after = look(root)
    assert (after.digest, after.images) == (before.digest, before.images)
    assert after.truth != before.truth


def test_the_digest_is_the_same_wherever_the_data_lie(root: Path) -> None:
    before = digest(root)
    root.rename(root.parent / "moved")
    assert digest(root.parent / "moved") == before


def test_annotations_go_by_their_path_from_the_data(tmp_path: Path) -> None:
    touch(tmp_path, "ILSVRC/Data/CLS-LOC/train/n1/a.JPEG", "ILSVRC/Data/CLS-LOC/val/v.JPEG")
    write(tmp_path / "LOC_train_solution.csv", solution_csv([("a", "n1 1 2 3 4")]))
    write(tmp_path / "ILSVRC/Annotations/CLS-LOC/val/v.xml", voc_xml("n1", (1, 2, 3, 4)))
    before = look(tmp_path / "ILSVRC", "imagenet").annotations
    assert before.keys() == {"../LOC_train_solution.csv", "Annotations/CLS-LOC/val"}
    assert before["Annotations/CLS-LOC/val"] == FOLDER
    write(tmp_path / "LOC_train_solution.csv", solution_csv([("a", "n1 1 2 3 5")]))
    after = look(tmp_path / "ILSVRC", "imagenet").annotations
    assert {name for name in before if after[name] != before[name]} == {"../LOC_train_solution.csv"}
