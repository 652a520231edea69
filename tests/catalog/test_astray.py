"""Where there are no training images, what is there is told, and what to do about it works."""

from pathlib import Path

import pytest

from psol_ray.catalog.layouts import list_images
from psol_ray.errors import UserError

from .trees import touch


def refusal(root: Path, layout: str = "folder") -> str:
    with pytest.raises(UserError) as caught:
        list_images(layout, str(root))
    return str(caught.value)


@pytest.mark.parametrize("layout", ["folder", "imagenet"])
@pytest.mark.parametrize(
    ("names", "advice"),
    [
        (
            ["data/cat/1.jpg", "data/dog/2.jpg", "data/notes/a.txt"],
            "found the folders cat, dog with images: set --data.layout classes, or move them into {root}/train",
        ),
        (
            ["data/1.jpg", "data/2.jpg"],
            "found 2 images (1.jpg, 2.jpg): set --data.layout one_class, or sort them into {root}/train/CLASS/",
        ),
        (["data/train.zip", "data/val.tar.gz"], "found 2 archives (train.zip, val.tar.gz): unpack them"),
        (["data/sets/train/cat/1.jpg"], "there is one in sets: set data.root to {root}/sets"),
        (
            ["data/images.txt", "data/train_test_split.txt", "data/images/001.Owl/1.jpg"],
            "this looks like CUB-200-2011: set --data.layout cub",
        ),
        (
            ["data/CUB_200_2011/images.txt", "data/CUB_200_2011/train_test_split.txt"],
            "this looks like CUB-200-2011: set --data.layout cub and data.root to {root}/CUB_200_2011",
        ),
        (["data/val/cat/1.jpg", "data/a.txt"], "found the folders val, 1 with other suffixes (.txt); set data.root to"),
        (["data/.hidden"], "found 1 hidden; set data.root to the folder that has train in it"),
    ],
)
def test_a_root_without_training_images(tmp_path: Path, layout: str, names: list[str], advice: str) -> None:
    touch(tmp_path, *names)
    root = tmp_path / "data"
    expected = {
        "folder": "has no folder train, expected train/CLASS/ in it",
        "imagenet": "has no training folder, expected one of ILSVRC/Data/CLS-LOC/train, Data/CLS-LOC/train, train",
    }
    assert refusal(root, layout).startswith(f"{root} {expected[layout]}; {advice.format(root=root)}")


def test_an_empty_root(tmp_path: Path) -> None:
    assert refusal(tmp_path).endswith("; found nothing there; set data.root to the folder that has train in it")


def test_imagenet_as_a_folder(tmp_path: Path) -> None:
    touch(tmp_path, "ILSVRC/Data/CLS-LOC/train/n1/a.JPEG")
    assert refusal(tmp_path).endswith("; this looks like ImageNet: set --data.layout imagenet")


@pytest.mark.parametrize("below", ["ILSVRC/Data", "ILSVRC/Annotations/CLS-LOC"])
def test_a_part_of_kaggles_tree(tmp_path: Path, below: str) -> None:
    touch(tmp_path, "ILSVRC/Data/CLS-LOC/train/n1/a.JPEG", "ILSVRC/Annotations/CLS-LOC/a.xml")
    advice = f"; this looks like a part of Kaggle's tree: set data.root to {tmp_path}"
    assert refusal(tmp_path / below, "imagenet").endswith(advice)


def test_the_training_folder_itself(tmp_path: Path) -> None:
    touch(tmp_path, "train/cat/1.jpg")
    assert refusal(tmp_path / "train").endswith("; this looks like that folder itself: set data.root to its parent")
    assert len(list_images("folder", str(tmp_path))) == 1


@pytest.mark.parametrize("layout", ["folder", "imagenet"])
@pytest.mark.parametrize(
    ("names", "advice"),
    [
        (["n01.tar", "n02.tar"], "found 2 archives (n01.tar, n02.tar): unpack them"),
        (["image_ids.txt"], "this looks like wsolevaluation's metadata: set --data.layout wsol"),
        (["a.txt"], "add them; there are only 1 with other suffixes (.txt)"),
    ],
)
def test_a_training_folder_without_classes(tmp_path: Path, layout: str, names: list[str], advice: str) -> None:
    touch(tmp_path, *(f"train/{name}" for name in names))
    complaint = f"{tmp_path / 'train'}: found no class folders, expected one a class; {advice}"
    assert refusal(tmp_path, layout) == complaint
