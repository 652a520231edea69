"""YOLO's labels, a file an image: `labels/SPLIT/NAME.txt`, with class, centre and size as shares of the image's sides.

Beside them `data.yaml` names the classes and the folders, and `images/SPLIT/NAME.jpg` are links to the images, because
readers look for `images/x.jpg` and replace the folder and the suffix. See `tree_names` for what a name is.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import yaml
from numpy.typing import NDArray

from psol_ray.errors import UserError, first_line
from psol_ray.evaluation.join import check_rows
from psol_ray.formats.base import ORIGIN_UNKNOWN, ExportRows, MatchedBoxes, Origin, exporting
from psol_ray.formats.classes import Classes, find_classes
from psol_ray.formats.names import SPLITS, files_below, image_suffixes, link_images, tree_names, tree_rows, write_files
from psol_ray.formats.texts import hundred_millionths, join, numbers

__all__ = ["read", "write"]

_LABELS, _IMAGES, _DATA = "labels", "images", "data.yaml"
_WITH_SCORE = 6  # numbers of a line that detectors write


def read(folder: Path, catalog: pa.Table, _threshold: float, /) -> MatchedBoxes:
    """Read what is below folders called `labels`; in a file without a line, nothing was found.

    Of lines with a sixth number, which is a score, the highest counts. Classes mean nothing but that `data.yaml`, where
    there is one, has to have them.

    Raises:
        UserError: there is no label file, one is malformed, or belongs to no image of the catalog, or to several.
    """
    files = [name for name in files_below(folder, ".txt") if f"/{_LABELS}/" in f"/{name}"]
    if not files:
        raise UserError(
            f"boxes.imported.path: found no {_LABELS}/*.txt in {folder}, expected YOLO's labels, one file an image; fix"
            " the path or boxes.imported.format"
        )
    names = pa.array([_without_labels(name) for name in files], pa.string())
    rows_K = tree_rows(folder, names, catalog)
    num_classes = _num_classes(folder)
    file_M: list[int] = []
    lines: list[list[float]] = []
    broken, unknown = np.zeros(len(files), bool), np.zeros(len(files), bool)
    for number, name in enumerate(files):
        for line in (folder / f"{name}.txt").read_bytes().splitlines():
            values = _numbers(line)
            if values is None:
                broken[number] = True
            elif values:
                file_M.append(number)
                lines.append(values)
                unknown[number] |= not 0 <= values[0] < num_classes
    named = pa.table({"image_id": pa.array(files, pa.string())})
    check_rows(
        named, broken, str(folder), "with a line that is not a class and four numbers; expected YOLO's labels of boxes"
    )
    check_rows(named, unknown, str(folder), f"with a class that {_DATA} does not name; fix the class or add its name")
    values_MC = np.array([values[1:] for values in lines], np.float64).reshape(-1, 5)
    empty_K = np.setdiff1d(np.arange(len(files)), file_M)
    return MatchedBoxes(
        rows_K[file_M],
        values_MC[:, :4],
        coordinates="fractions_cxcywh",
        scores_M=values_MC[:, 4],
        empty_K=rows_K[empty_K],
    )


def _without_labels(name: str) -> str:
    """`train/a` of `labels/train/a` and of `train/labels/a`."""
    front, _, back = f"/{name}".rpartition(f"/{_LABELS}/")
    return f"{front}/{back}".lstrip("/")


def _numbers(line: bytes) -> list[float] | None:
    """Class, box and score, NaN where there is none; [] of an empty line, None of one that is something else."""
    texts = line.split()
    if not texts:
        return []
    try:
        values = [float(text) for text in texts]
    except ValueError:
        return None
    if len(values) == _WITH_SCORE:
        return values
    return [*values, np.nan] if len(values) == _WITH_SCORE - 1 else None


def _num_classes(folder: Path) -> float:
    """How many classes `data.yaml` names; infinity where there is none."""
    path = folder / _DATA
    if not path.exists():
        return np.inf
    try:
        names = yaml.safe_load(path.read_text(encoding="utf-8-sig"))["names"]
        return max(map(int, names)) + 1 if isinstance(names, dict) else len(names)
    except (yaml.YAMLError, ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"{path}: found {first_line(error)}, expected YAML with the classes' names; fix it or remove it"
        ) from None


def write(folder: str | Path, catalog: pa.Table, table: pa.Table, origin: Origin = ORIGIN_UNKNOWN, /) -> int:
    """Write labels, `data.yaml`, and links to the images where these are files on this machine.

    Corners are rounded to a hundred-millionth of the image's side, and clipped to it.

    Raises:
        UserError: the folder is taken, the table does not fit the catalog, or names of images are too alike.
    """
    with exporting(folder, catalog, table) as (unfinished, rows):
        classes, names = find_classes(catalog), tree_names(catalog)
        _write_data(unfinished / _DATA, rows, classes)
        root = origin.folder_of_images(catalog)
        for some in rows.some():
            of_some = names.take(pa.array(some.numbers_N))
            lines = _lines(some, classes.indices(some)).cast(pa.binary()).to_pylist()
            write_files(unfinished / _LABELS, join(of_some, ".txt").to_pylist(), lines)
            if root is not None:
                ids = some.images.column("image_id").combine_chunks()
                link_images(unfinished / _IMAGES, join(of_some, image_suffixes(ids)).to_pylist(), root, ids.to_pylist())
    return rows.num_left_out


def _lines(rows: ExportRows, class_N: NDArray[np.int64]) -> pa.Array:
    x0_N, y0_N, x1_N, y1_N = hundred_millionths(rows.inside_N4, rows.sizes_N2).T
    centre_x_N, centre_y_N = (x0_N + x1_N) / 2e8, (y0_N + y1_N) / 2e8
    x, y, w, h = (numbers(v) for v in (centre_x_N, centre_y_N, (x1_N - x0_N) / 1e8, (y1_N - y0_N) / 1e8))
    return join(numbers(class_N), " ", x, " ", y, " ", w, " ", h, "\n")


def _write_data(path: Path, rows: ExportRows, classes: Classes) -> None:
    there = set(rows.images.column("split").unique().to_pylist())
    folders = {name: f"{_IMAGES}/{name}" for split, name in SPLITS.items() if split in there}
    # Trainers want both.
    data = {name: folders.get(name) or next(iter(folders.values()), f"{_IMAGES}/{name}") for name in SPLITS.values()}
    text = yaml.safe_dump({**data, "names": dict(enumerate(classes.names))}, allow_unicode=True, sort_keys=False)
    path.write_text(text, encoding="utf-8")
