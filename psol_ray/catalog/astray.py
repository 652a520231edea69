"""What to do where there are no training images: what lies there instead says what the user may have meant."""

from itertools import chain, islice

from psol_ray.catalog.passed_over import PassedOver, Reason, describe
from psol_ray.catalog.scan import Folder, scan_folder
from psol_ray.catalog.split_names import HELD_OUT, TRAINING
from psol_ray.errors import abbreviate
from psol_ray.storage.tree import DataPath, name_of, parents_of

__all__ = ["without_classes", "without_layout", "without_training"]

_CUB_FILES = ("images.txt", "train_test_split.txt")
_KAGGLE = "ILSVRC/Data/CLS-LOC"
_IMAGENET_FOLDERS = (_KAGGLE, "Data/CLS-LOC")
_MOST, _FEW = 100, 3  # folders that are looked into, and of each below it
_SPLITS = frozenset(chain(TRAINING, *HELD_OUT))


def without_training(root: DataPath, layout: str) -> str:
    """What to do about a root without a training folder.

    Args:
        root: a folder.
        layout: as which it was read.
    """
    top = scan_folder(root)
    return (
        _other_layout(root, layout)
        or _other_root(root, top, layout)
        or _unpack(top.passed_over)
        or _move(root, top)
        or f"found {_content(top)}; set data.root to the folder that has train in it"
    )


def without_layout(root: DataPath) -> str:
    """What to say of a root that has none of the layouts: what is there, what to do, and what would fit."""
    top = scan_folder(root)
    advice = (
        _split_below(root, top)
        or _other_root(root, top, "folder")
        or _unpack(top.passed_over)
        or f"found {_content(top)}; set data.root to the folder that holds the images"
    )
    return (
        f"{root}: found no layout of images that can be read; {advice}. Expected train/CLASS/1.jpg and val/CLASS/2.jpg,"
        " or CLASS/1.jpg, or images.csv with a column path, or one of those that docs/layouts.md draws"
    )


def _split_below(root: DataPath, top: Folder) -> str:
    """What to do about images that lie in folders of splits, and not in those of classes; or deeper than looked for."""
    for name in islice(top.folders, _MOST):
        below = scan_folder(root / name)
        if below.images and name.lower() in _SPLITS:
            return (
                f"found {len(below.images)} images ({abbreviate(below.images)}) in {name} and no folders of classes"
                f" there: sort them into {root / name}/CLASS/, or set data.root to {root / name} for one class"
            )
        if any(scan_folder(root / name / folder).images for folder in islice(below.folders, _FEW)):
            return f"there are folders with images in {name}: set data.root to {root / name}"
    return ""


def _other_layout(root: DataPath, layout: str) -> str:
    if layout != "cub":
        for folder in (root, root / "CUB_200_2011"):
            if all((folder / file).is_file() for file in _CUB_FILES):
                also = "" if folder == root else f" and data.root to {folder}"
                return f"this looks like CUB-200-2011: set --data.layout cub{also}"
    if layout != "imagenet" and any((root / name / "train").is_dir() for name in _IMAGENET_FOLDERS):
        return "this looks like ImageNet: set --data.layout imagenet"
    return ""


def _other_root(root: DataPath, top: Folder, layout: str) -> str:
    above = parents_of(root)
    if layout == "imagenet" and (kaggle := next((path for path in above if (path / _KAGGLE / "train").is_dir()), None)):
        return f"this looks like a part of Kaggle's tree: set data.root to {kaggle}"
    if name_of(root).lower() in TRAINING:
        return "this looks like that folder itself: set data.root to its parent"
    deeper = (name for name in islice(top.folders, _MOST) for train in TRAINING if (root / name / train).is_dir())
    return next((f"there is one in {name}: set data.root to {root / name}" for name in deeper), "")


def _unpack(passed_over: PassedOver) -> str:
    archives = sorted(name for reason, name in passed_over if reason is Reason.ARCHIVE)
    return f"found {len(archives)} archives ({abbreviate(archives)}): unpack them" if archives else ""


def _move(root: DataPath, top: Folder) -> str:
    classes = [name for name in islice(top.folders, _MOST) if scan_folder(root / name).images]
    if classes:
        return (
            f"found the folders {abbreviate(classes)} with images: set --data.layout classes, or move them into"
            f" {root / 'train'}"
        )
    if top.images:
        return (
            f"found {len(top.images)} images ({abbreviate(top.images)}): set --data.layout one_class, or sort them into"
            f" {root / 'train'}/CLASS/"
        )
    return ""


def without_classes(where: DataPath, found: Folder) -> str:
    """What to do about a folder in which there should be class folders and is none."""
    if (where / "image_ids.txt").is_file():
        return "this looks like wsolevaluation's metadata: set --data.layout wsol"
    content = describe(found.passed_over)
    return _unpack(found.passed_over) or f"add them{f'; there are only {content}' if content else ''}"


def _content(found: Folder) -> str:
    """`the folders a, b, 2 with other suffixes (.txt 2)`."""
    folders = f"the folders {abbreviate(found.folders)}" if found.folders else ""
    return ", ".join(filter(None, (folders, describe(found.passed_over)))) or "nothing there"
