"""Which layout a folder has, by a few names in it: its own, and those in a few folders below. No file is opened but the
footer of a list in Parquet.

A layout is known by what no other has: `data.yaml` beside labels, `_annotations.coco.json`. Class folders and loose
images are what is left where there is nothing of that kind.
"""

import re
from collections.abc import Callable
from functools import cached_property

import pyarrow as pa
import pyarrow.parquet as pq

from psol_ray.catalog.astray import without_layout
from psol_ray.catalog.boxes_csv import BOXES_FILE
from psol_ray.catalog.coco_files import ANNOTATIONS, certain_names, find_files, split_folders
from psol_ray.catalog.list_file import LISTS, PATH
from psol_ray.catalog.scan import Names, list_names
from psol_ray.catalog.shard_index import INDEX_FILE
from psol_ray.catalog.split_names import TRAINING
from psol_ray.catalog.voc import find_xml
from psol_ray.catalog.yolo import find_pairs
from psol_ray.errors import UserError, abbreviate
from psol_ray.storage.tree import DataPath, open_stream

__all__ = ["recognise"]

_KAGGLE = ("ILSVRC/Data/CLS-LOC", "Data/CLS-LOC")
_WNID = re.compile(r"n\d{8}")
_SOLUTION = re.compile(r"LOC_(train|val)_solution\.csv")
_NUMBERED = re.compile(r"[-_.]\d+\.(tar|parquet)$")
_MOST = 5  # folders that are looked into for images
_NO_CLASSES = frozenset({"images", "labels", "data", "masks", *ANNOTATIONS})  # names of what holds images and more


class _Tree:
    """A root whose folders are listed once each."""

    def __init__(self, root: DataPath) -> None:
        self.root, self._seen = root, dict[str, Names]()

    def names(self, folder: str = "") -> Names:
        """What is in a folder of it."""
        if folder not in self._seen:
            self._seen[folder] = list_names(self.root / folder)
        return self._seen[folder]

    @cached_property
    def train(self) -> str | None:
        """The folder of the training images, by its name."""
        return self.names().folder(*TRAINING)

    def class_folders(self) -> list[str]:
        """Folders below that which may be classes."""
        return (
            [name for name in self.names(self.train).folders if name.lower() not in _NO_CLASSES] if self.train else []
        )


def recognise(root: DataPath) -> tuple[str, str]:
    """The layout's name, and what was seen of it.

    Raises:
        UserError: it is none that can be read, or may be several.
    """
    tree = _Tree(root)
    for looks in (_CERTAIN, _LIKELY, _LEFT, _LAST):
        found = {name: seen for name, look in looks.items() if (seen := look(tree))}
        if len(found) > 1:
            shown = " and ".join(f"{name} ({seen})" for name, seen in found.items())
            choice = " or ".join(f"--data.layout {name}" for name in found)
            raise UserError(f"{root}: found what may be {shown}, expected one layout; choose by {choice}")
        if found:
            return next(iter(found.items()))
    raise UserError(without_layout(root))


def _imagenet(tree: _Tree) -> str:
    if tree.names().folder("ilsvrc", "data"):
        for folder in _KAGGLE:
            if (tree.root / folder / "train").is_dir():
                return f"{folder}/train/"
    classes = tree.class_folders()
    if classes and all(map(_WNID.fullmatch, classes)) and BOXES_FILE not in tree.names().files:
        return f"{tree.train}/{classes[0]}/"
    return f"{tree.train}/, LOC_*_solution.csv" if classes and any(map(_SOLUTION.match, tree.names().files)) else ""


def _cub(tree: _Tree) -> str:
    files = ("images.txt", "train_test_split.txt")
    return ", ".join(files) if set(files) <= set(tree.names().files) else ""


def _wsol(tree: _Tree) -> str:
    splits = [name for name in ("train", "test") if name in tree.names().folders]
    return next((f"{name}/image_ids.txt" for name in splits if "image_ids.txt" in tree.names(name).files), "")


def _list(tree: _Tree) -> str:
    there = [name for name in LISTS if name in tree.names().files]
    return there[0] if there and (there[0].endswith(".csv") or _lists_paths(tree.root / there[0])) else ""


def _lists_paths(path: DataPath) -> bool:
    """Whether a Parquet file of a list's name is one, and not a shard of images."""
    try:
        with open_stream(path) as file:
            return PATH in pq.read_schema(file).names
    except pa.ArrowException:
        return True  # which the list's reader complains of


def _coco(tree: _Tree) -> str:
    files = find_files(tree.root, tree.names())
    return abbreviate(files) if files and certain_names(files) else ""


def _perhaps_coco(tree: _Tree) -> str:
    return abbreviate(find_files(tree.root, tree.names()))


def _yolo(tree: _Tree) -> str:
    pairs = find_pairs(tree.root, tree.names())
    return f"{pairs[0].images}/, {pairs[0].annotations}/" if pairs else ""


def _voc(tree: _Tree) -> str:
    pairs = find_xml(tree.root, tree.names())
    return f"{pairs[0].annotations}/*.xml, {pairs[0].images}/" if pairs else ""


def _folder(tree: _Tree) -> str:
    if not tree.class_folders() or _imagenet(tree) or _yolo(tree):
        return ""
    return ", ".join(f"{name}/" for name in split_folders(tree.names()))


def _shards(suffix: str, *, numbered: bool) -> Callable[[_Tree], str]:
    """Looks for shards in the root, and in its folders of splits and of data."""

    def look(tree: _Tree) -> str:
        if suffix == ".tar" and INDEX_FILE in tree.names().files:
            return INDEX_FILE
        folders = ["", *split_folders(tree.names()), *(name for name in tree.names().folders if name.lower() == "data")]
        for folder in folders:
            for name in tree.names(folder).files:
                is_own = name in (INDEX_FILE, *LISTS)
                if name.endswith(suffix) and not is_own and (_NUMBERED.search(name) or not numbered):
                    return f"{folder}/{name}" if folder else name
        return ""

    return look


def _classes(tree: _Tree) -> str:
    splits = split_folders(tree.names())
    others = [name for name in tree.names().folders if name not in splits and name.lower() not in ("labels", "masks")]
    if not any(tree.names(name).images for name in others[:_MOST]):
        return ""
    return abbreviate([f"{name}/" for name in others])


def _one_class(tree: _Tree) -> str:
    return abbreviate(tree.names().images)


_Looks = dict[str, Callable[[_Tree], str]]

_CERTAIN: _Looks = {
    "imagenet": _imagenet,
    "cub": _cub,
    "wsol": _wsol,
    "list": _list,
    "coco": _coco,
    "yolo": _yolo,
    "voc": _voc,
    "folder": _folder,
    "webdataset": _shards(".tar", numbered=True),
    "parquet": _shards(".parquet", numbered=True),
}
# Names that others use, too, and so each after all before it: any JSON, class folders, archives, a table.
_LIKELY: _Looks = {"coco": _perhaps_coco}
_LEFT: _Looks = {"classes": _classes, "one_class": _one_class}
_LAST: _Looks = {"webdataset": _shards(".tar", numbered=False), "parquet": _shards(".parquet", numbered=False)}
