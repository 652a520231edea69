"""Where the parts of ImageNet lie in the ways it is distributed."""

import os
from dataclasses import dataclass
from pathlib import Path

from psol_ray.errors import UserError

__all__ = ["ImageNetTree", "find_tree"]


@dataclass(frozen=True)
class ImageNetTree:
    """Where things are below, or for Kaggle's CSV files beside, the root."""

    root: Path
    base: str  # "ILSVRC", or "" for the root itself
    images: str  # below base

    def folder(self, split: str) -> str:
        """The folder of a split's images, relative to the root."""
        return "/".join(part for part in (self.base, self.images, split) if part)

    def solution(self, split: str) -> Path | None:
        """Kaggle's CSV file of a split's boxes, where there is one."""
        base = Path(os.path.abspath(self.root / self.base))
        folders = [base, base.parent] if self.images else [base]
        paths = [folder / f"LOC_{split}_solution.csv" for folder in folders]
        return next((path for path in paths if path.is_file()), None)

    def validation_xml(self) -> Path | None:
        """The folder of the validation images' XML files, where there is one."""
        base = self.root / self.base
        folders = [base / "Annotations/CLS-LOC/val", base / "bbox/val", self.root / self.folder("val")]
        return next((folder for folder in folders if _has_xml(folder)), None)


def find_tree(root: Path) -> ImageNetTree:
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
    raise UserError(f"{root} has no training folder, expected one of {expected}; set data.root to its parent")


def _has_xml(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    with os.scandir(folder) as entries:
        return any(entry.name.endswith(".xml") for entry in entries)
