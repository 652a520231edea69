"""What COCO's files say: images with their numbers, categories, and boxes of annotations or of results."""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from psol_ray.errors import UserError, abbreviate
from psol_ray.evaluation.join import check_rows
from psol_ray.formats.base import MatchedBoxes
from psol_ray.formats.found import is_box, is_number
from psol_ray.formats.json_stream import first_character, stream_json
from psol_ray.formats.paths import known_rows
from psol_ray.log import say

__all__ = ["read_coco"]

_SHOWN = 80  # characters of what is none of COCO's


@dataclass
class _File:
    """What one file holds; boxes in the order they were read, each with the number of its image and category."""

    path: Path
    names: dict[Any, str] = field(default_factory=dict)  # of images, by number
    categories: set[Any] | None = None  # None where the file has no list of them
    image_M: list[Any] = field(default_factory=list)
    category_M: list[Any] = field(default_factory=list)
    corners: "array[float]" = field(default_factory=lambda: array("d"))
    scores: "array[float]" = field(default_factory=lambda: array("d"))
    foreground: bytearray = field(default_factory=bytearray)
    broken: list[str] = field(default_factory=list)  # the images of what has no box of four numbers

    def add_image(self, found: Any) -> None:
        """Take an item of the list of images."""
        name = found.get("file_name") if isinstance(found, dict) else None
        number = found.get("id") if isinstance(found, dict) else None
        if not isinstance(name, str) or not isinstance(number, int | str):
            shown = str(found)[:_SHOWN]
            raise UserError(f"{self.path}: found an image {shown}, expected one with id and file_name; export it again")
        if number in self.names:
            raise UserError(
                f"{self.path}: found two images of the id {number} ({self.names[number]}, {name}), expected each id"
                " once; number them anew"
            )
        self.names[number] = name

    def add_category(self, found: Any) -> None:
        """Take an item of the list of categories."""
        self.categories = self.categories or set()
        if isinstance(found, dict) and isinstance(found.get("id"), int | str):
            self.categories.add(found["id"])

    def add_box(self, found: Any) -> None:
        """Take an annotation or a result; a crowd is no object."""
        found = found if isinstance(found, dict) else {}
        if found.get("iscrowd"):
            return
        box, score, attributes = (found.get(name) for name in ("bbox", "score", "attributes"))
        if not is_box(box):
            self.broken.append(str(found.get("image_id")))
            return
        self.image_M.append(found.get("image_id"))
        self.category_M.append(found.get("category_id"))
        self.corners.extend(box)
        self.scores.append(score if is_number(score) else np.nan)
        self.foreground.append(not (isinstance(attributes, dict) and attributes.get("no_foreground")))


def read_coco(path: Path, catalog: pa.Table) -> MatchedBoxes:
    """Read the boxes of a file or of a folder; see `coco.read`.

    Raises:
        UserError: as `coco.read`.
    """
    folder = path if path.is_dir() else path.parent
    candidates = sorted({*folder.glob("*.json"), *([path] if path.is_file() else [])})
    begins = {file: first_character(file) for file in candidates}
    results = [file for file in candidates if begins[file] == "[" and path in (file, folder)]
    # Results alone do not say what their images are called.
    instances = [file for file in candidates if begins[file] == "{" and (path in (file, folder) or path in results)]
    if not results and not instances:
        raise UserError(
            f"boxes.imported.path: found no COCO JSON in {path}, expected a file of annotations or of results; fix the"
            " path or boxes.imported.format"
        )
    files = [_read(file) for file in instances]
    if path in results or not any(file.image_M for file in files):
        return _match_results([_read(file) for file in results], files, catalog)
    # An export has results of the same boxes beside its annotations.
    own = {file.name.replace("instances_", "detections_") for file in instances}
    if others := [file.name for file in results if file.name not in own]:
        say(
            f"{folder}: results are left alone beside annotations ({abbreviate(others)}); give boxes.imported.path the"
            " name of one to import it"
        )
    return _together([_match(file, file.names, file.categories, catalog, lists_all=True) for file in files])


def _read(path: Path) -> _File:
    file = _File(path)
    takers = {"": file.add_box, "images": file.add_image, "categories": file.add_category, "annotations": file.add_box}
    for key, item in stream_json(path):
        if taker := takers.get(key):
            taker(item)
    named = pa.table({"image_id": pa.array(file.broken, pa.string())})
    complaint = "by number, with a box that is not four numbers; expected x, y, width and height"
    check_rows(named, np.ones(len(named), bool), str(path), complaint)
    return file


def _match_results(results: Sequence[_File], instances: Sequence[_File], catalog: pa.Table) -> MatchedBoxes:
    """The boxes of results, whose images, by number, other files know."""
    names: dict[Any, str] = {}
    categories: set[Any] | None = None
    for file in instances:
        for number, name in file.names.items():
            if names.setdefault(number, name) != name:
                raise UserError(
                    f"{file.path}: found {name} as image {number}, which is {names[number]} in another file beside it;"
                    " leave the one that the results are of"
                )
        if file.categories is not None:
            categories = (categories or set()) | file.categories
    if not names:
        # Some tools number images by their names.
        names = {name: name for file in results for name in file.image_M if isinstance(name, str)}
    if not results:
        raise UserError(
            f"{instances[0].path}: found {len(names)} images and no box, expected annotations; give another file"
        )
    return _together([_match(file, names, categories, catalog, lists_all=False) for file in results])


def _match(
    file: _File, names: Mapping[Any, str], categories: set[Any] | None, catalog: pa.Table, *, lists_all: bool
) -> MatchedBoxes:
    """The boxes of one file as the catalog's.

    Args:
        names: of images, by number.
        categories: the numbers that there are; None where nobody says.
        lists_all: whether nothing was found in an image without a box.
    """
    if not names:
        raise UserError(f"{file.path}: found no images, expected a list of them with id and file_name; export it again")
    place = {number: index for index, number in enumerate(names)}
    image_M = np.array([place.get(number, -1) for number in file.image_M], np.int64)
    numbered = pa.table({"image_id": pa.array(map(str, file.image_M), pa.string())})
    check_rows(numbered, image_M < 0, str(file.path), "by number, that are not in its list of images; add them")
    if categories is not None:
        unknown_M = np.array([number not in categories for number in file.category_M], bool)
        list_names = pa.array(names.values(), pa.string())
        named = pa.table({"image_id": list_names.take(pa.array(image_M))})
        check_rows(named, unknown_M, str(file.path), "with a class that is in no category; fix category_id or add it")
    used = np.arange(len(names)) if lists_all else np.unique(image_M)
    rows_K = known_rows(file.path, pa.array(names.values(), pa.string()).take(pa.array(used)), catalog)
    row_of = np.full(len(names), -1)
    row_of[used] = rows_K
    return MatchedBoxes(
        row_of[image_M],
        np.array(file.corners, np.float64).reshape(-1, 4),
        np.frombuffer(file.foreground, bool).copy(),
        coordinates="pixels_xywh",
        scores_M=np.full(len(image_M), np.nan) if lists_all else np.array(file.scores, np.float64),
        empty_K=row_of[np.setdiff1d(used, image_M)],
    )


def _together(parts: Sequence[MatchedBoxes]) -> MatchedBoxes:
    def joined(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(part, name) for part in parts])

    return MatchedBoxes(
        joined("rows_M"),
        joined("boxes_M4"),
        joined("foreground_M"),
        coordinates=parts[0].coordinates,
        scores_M=joined("scores_M"),
        empty_K=joined("empty_K"),
    )
