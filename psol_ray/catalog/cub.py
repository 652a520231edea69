"""CUB-200-2011 as distributed."""

import math
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from psol_ray.catalog.annotations import Annotations, box_lists
from psol_ray.catalog.listing import TEST, TRAIN, Listing, join_splits, split_table
from psol_ray.catalog.unicode_forms import check_one_form
from psol_ray.errors import UserError, abbreviate
from psol_ray.storage.tree import DataPath
from psol_ray.tables.image_ids import check_listed_ids

__all__ = ["list_cub"]

Value = TypeVar("Value")

_FILES = ("images.txt", "image_class_labels.txt", "classes.txt", "train_test_split.txt", "bounding_boxes.txt")


def list_cub(root: DataPath) -> Listing:
    """List this tree, whose text files hold an image id, a space and a value a line::

        images/CLASS/*.jpg
        images.txt               path below images/
        image_class_labels.txt   class id
        classes.txt              class id, name
        train_test_split.txt     1 for training
        bounding_boxes.txt       x y width height

    Ids need not be consecutive. `images.txt` says which images there are; the files themselves are not looked
    for.

    Raises:
        UserError: a text file is missing or has a malformed line, or they do not speak of the same images.
    """
    paths = _read(root / "images.txt", str, "an image id and a path")
    if len(set(paths.values())) < len(paths):
        raise UserError(f"{root / 'images.txt'}: found a path twice, expected each once; download it again")
    check_listed_ids(root / "images.txt", pa.array(paths.values(), pa.string()))
    class_ids = _read_for(paths, root / "image_class_labels.txt", int, "an image id and a class id")
    in_train = _read_for(paths, root / "train_test_split.txt", _flag, "an image id and 0 or 1")
    corners = _read_for(paths, root / "bounding_boxes.txt", _corners, "an image id and x y width height")

    image_ids = pa.array([f"images/{path}" for path in paths.values()], pa.string())
    class_names = pa.array(_class_names(root / "classes.txt", class_ids), pa.string())
    boxes = Annotations()
    for i, path in paths.items():
        boxes.add(f"images/{path}", "", corners[i])
    listed = split_table("", image_ids, class_names, box_lists(image_ids, boxes))

    in_train_N = np.array([in_train[i] for i in paths], bool)
    if not in_train_N.any():
        raise UserError(f"{root / 'train_test_split.txt'}: found no training image, expected 1 for some; add them")
    train, test = _part(listed, TRAIN, in_train_N), _part(listed, TEST, ~in_train_N)
    return join_splits(root, train, test, annotations=[root / name for name in _FILES])


def _part(listed: pa.Table, split: str, mask_N: NDArray[np.bool_]) -> pa.Table:
    part = listed.filter(pa.array(mask_N))
    return split_table(split, part["image_id"], part["class_name"], part["gt_boxes"])


def _class_names(path: DataPath, class_ids: dict[int, int]) -> list[str]:
    names = _read(path, str, "a class id and a name")
    twice = sorted(name for name, count in Counter(names.values()).items() if count > 1)
    if twice:
        raise UserError(
            f"{path}: found {len(twice)} names of several class ids ({abbreviate(twice)}), expected another for each"
            " class; rename or number them"
        )
    check_one_form(path, pa.array(list(names.values()), pa.string()))
    unnamed = sorted(set(class_ids.values()) - names.keys())
    if unnamed:
        raise UserError(
            f"{path}: found no name for {len(unnamed)} class ids of image_class_labels.txt"
            f" ({abbreviate([str(i) for i in unnamed])}), expected one each; download the files again"
        )
    return [names[class_id] for class_id in class_ids.values()]


def _read_for(paths: dict[int, str], path: DataPath, parse: Callable[[str], Value], expected: str) -> dict[int, Value]:
    """A file that must speak of the same images as `images.txt`, in the latter's order."""
    values = _read(path, parse, expected)
    for found, odd in (("no line", paths.keys() - values.keys()), ("a line", values.keys() - paths.keys())):
        if odd:
            ids = abbreviate([str(i) for i in sorted(odd)])
            raise UserError(
                f"{path}: found {found} for {len(odd)} image ids ({ids}), expected exactly the ids of"
                " images.txt; download the files again"
            )
    return {i: values[i] for i in paths}


def _read(path: DataPath, parse: Callable[[str], Value], expected: str) -> dict[int, Value]:
    """A text file of `ID VALUE` lines."""
    if not path.is_file():
        raise UserError(f"{path} does not exist, expected a file of CUB-200-2011; set data.root to its CUB_200_2011")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: found {error}, expected text in UTF-8; download the file again") from None
    values: dict[int, Value] = {}
    for number, line in enumerate(lines, 1):
        try:
            key, value = line.strip().split(maxsplit=1)
            if int(key) in values:
                raise ValueError("id given twice")
            values[int(key)] = parse(value)
        except ValueError:
            raise UserError(
                f"{path}, line {number}: found {line!r}, expected {expected}, each id once; fix the line"
            ) from None
    return values


def _flag(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError(text)
    return text == "1"


def _corners(text: str) -> tuple[float, float, float, float]:
    x, y, width, height = (float(word) for word in text.split())
    if not (all(map(math.isfinite, (x, y))) and 0 < width < math.inf and 0 < height < math.inf):
        raise ValueError(text)
    return x, y, x + width, y + height
