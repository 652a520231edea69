"""YOLO's labels: a text file an image, in it a line an object; and the names of its classes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from psol_ray.catalog.paired import read_whole
from psol_ray.catalog.scan import Names
from psol_ray.errors import UserError, first_line
from psol_ray.storage.tree import DataPath

__all__ = ["Labels", "find_names", "read_labels", "read_names"]

_YAML = ("data", "dataset")
_TEXTS = ("classes.txt", "obj.names")
_BOX, _FEWEST = 4, 6  # numbers: of a box, of an outline
_HIGHEST_CLASS = 1 << 31


@dataclass
class Labels:
    """What a file says: the number of each object's class and its box, centre and size, as fractions."""

    classes: list[int] = field(default_factory=list)
    boxes: list[Sequence[float]] = field(default_factory=list)
    num_malformed: int = 0


def read_labels(path: DataPath) -> Labels:
    """Read `class cx cy w h` lines; of an outline, `class x y x y x y …`, the box around it is taken."""
    labels = Labels()
    for line in read_whole(path).decode("utf-8-sig", errors="replace").splitlines():
        words = line.split()
        if not words:
            continue
        try:
            numbers = [float(word) for word in words]
        except ValueError:
            numbers = []
        box = _box(numbers[1:])
        if box is None or not numbers[0].is_integer() or abs(numbers[0]) > _HIGHEST_CLASS:
            labels.num_malformed += 1
        else:
            labels.classes.append(int(numbers[0]))
            labels.boxes.append(box)
    return labels


def _box(numbers: Sequence[float]) -> Sequence[float] | None:
    if not all(map(math.isfinite, numbers)):
        return None
    if len(numbers) == _BOX:
        return numbers
    if len(numbers) < _FEWEST or len(numbers) % 2:
        return None
    xs, ys = numbers[::2], numbers[1::2]
    width, height = max(xs) - min(xs), max(ys) - min(ys)
    return (min(xs) + width / 2, min(ys) + height / 2, width, height)


def find_names(top: Names) -> str | None:
    """The file in the root that names the classes: data.yaml, dataset.yaml, any other .yaml alone, or a text."""
    found = [name for name in top.files if name.lower().endswith((".yaml", ".yml"))]
    usual = [name for name in found if name.rpartition(".")[0].lower() in _YAML]
    texts = [name for name in top.files if name.lower() in _TEXTS]
    return next(iter([*usual, *(found if len(found) == 1 else []), *texts]), None)


def read_names(path: DataPath) -> dict[int, str]:
    """The name of each class, by its number.

    Raises:
        UserError: it is no YAML, or says no names.
    """
    try:
        text = read_whole(path).decode("utf-8-sig")
        if path.name.lower() in _TEXTS:
            lines = enumerate(line.strip() for line in text.splitlines())
            return {number: name for number, name in lines if name}
        content = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: found {first_line(error)}, expected YAML in UTF-8; write it anew") from None
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, list) and names:
        return {number: str(name) for number, name in enumerate(names)}
    if isinstance(names, dict) and names and all(map(_is_number, names)):
        return {int(number): str(name) for number, name in names.items()}
    raise UserError(
        f"{path}: found no names of classes in it, expected names: [cat, dog] or names: {{0: cat}}; add them"
    )


def _is_number(key: Any) -> bool:
    return str(key).isdecimal()
