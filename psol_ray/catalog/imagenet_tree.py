"""Where the parts of ImageNet lie in the ways it is distributed."""

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from psol_ray.catalog.astray import without_training
from psol_ray.catalog.passed_over import PassedOver, Reason
from psol_ray.catalog.scan import scan_folder
from psol_ray.errors import UserError
from psol_ray.storage.tree import DataPath, StorePath, parents_of

__all__ = ["ImageNetTree", "find_tree"]

_READ = ("train", "val", "bbox", "Annotations", "ImageSets")
_TELLING = (Reason.ARCHIVE, Reason.BROKEN_LINK)  # what says more than that somebody keeps other things there
_MOST_ABOVE = 3  # folders: of `ILSVRC/Data/CLS-LOC`


@dataclass(frozen=True)
class ImageNetTree:
    """Where things are below, or for Kaggle's CSV files beside, the root."""

    root: DataPath
    base: str  # "ILSVRC", or "" for the root itself
    images: str  # below base

    def folder(self, split: str) -> str:
        """The folder of a split's images, relative to the root."""
        return "/".join(part for part in (self.base, self.images, split) if part)

    def solution(self, split: str) -> DataPath | None:
        """Kaggle's CSV file of a split's boxes, where there is one."""
        base = self.root / self.base
        return _first(f"LOC_{split}_solution.csv", [base, *parents_of(base)[:1]] if self.images else [base])

    def hint_above(self, split: str) -> str:
        """What to say where the CSV file lies above a root that is not Kaggle's, where it is not looked for."""
        above = _first(f"LOC_{split}_solution.csv", parents_of(self.root)[:_MOST_ABOVE])
        return f"; there is {above}, so set data.root to {above.parent}" if above else ""

    def validation_xml(self) -> DataPath | None:
        """The folder of the validation images' XML files, where there is one."""
        return next((folder for folder in self.validation_xml_folders() if _has_xml(folder)), None)

    def validation_xml_folders(self) -> list[DataPath]:
        """Where XML files may be."""
        base = self.root / self.base
        return [base / "Annotations/CLS-LOC/val", base / "bbox/val", self.root / self.folder("val")]

    def beside(self) -> PassedOver:
        """What lies beside the training and validation images and may hold others: folders, archives, images."""
        found = scan_folder(self.root / self.base / self.images)
        others = Counter((Reason.FOLDER, name) for name in found.folders if name not in _READ)
        others.update((Reason.OUTSIDE, name) for name in found.images)
        others.update({key: count for key, count in found.passed_over.items() if key[0] in _TELLING})
        return others


def _first(name: str, folders: Iterable[DataPath]) -> DataPath | None:
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def find_tree(root: DataPath) -> ImageNetTree:
    """Recognise a distribution by its training folder.

    Raises:
        UserError: there is none where any distribution has it.
    """
    kinds = [("ILSVRC", "Data/CLS-LOC"), ("", "Data/CLS-LOC"), ("", "")]
    trees = [ImageNetTree(root, base, images) for base, images in kinds]
    for tree in trees:
        if (root / tree.folder("train")).is_dir():
            return tree
    expected = ", ".join(tree.folder("train") for tree in trees)
    raise UserError(f"{root} has no training folder, expected one of {expected}; {without_training(root, 'imagenet')}")


def _has_xml(folder: DataPath) -> bool:
    if not folder.is_dir():
        return False
    if isinstance(folder, StorePath):
        return any(name.endswith(".xml") for name in folder.entries())
    with os.scandir(folder) as entries:
        return any(entry.name.endswith(".xml") for entry in entries)
