"""PASCAL VOC's XML, a file an image: `Annotations/NAME.xml`, and lists of names in `ImageSets/Main/SPLIT.txt`.

`JPEGImages/NAME.jpg` are links to the images, whatever these are called: VOC's readers add `.jpg` to the names in the
lists. See `tree_names` for what a name is.
"""

import re
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from psol_ray.catalog.voc_xml import read_voc_xml
from psol_ray.errors import UserError
from psol_ray.evaluation.join import check_rows
from psol_ray.formats.base import ORIGIN_UNKNOWN, ExportRows, MatchedBoxes, Origin, exporting
from psol_ray.formats.classes import find_classes
from psol_ray.formats.names import SPLITS, files_below, link_images, tree_names, tree_rows, write_files
from psol_ray.formats.texts import as_bytes, join, numbers

__all__ = ["read", "write"]

_ANNOTATIONS, _IMAGES, _LISTS = "Annotations", "JPEGImages", "ImageSets/Main"
_FIRST_PIXEL = 1
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def read(folder: Path, catalog: pa.Table, _threshold: float, /) -> MatchedBoxes:
    """Read what is below `Annotations`; in a file without an object, nothing was found.

    Corners are the first and the last pixel, counted from 1. Names of classes mean nothing.

    Raises:
        UserError: there is no such file, one is malformed, or belongs to no image of the catalog, or to several.
    """
    files = files_below(folder / _ANNOTATIONS, ".xml")
    if not files:
        raise UserError(
            f"boxes.imported.path: found no {_ANNOTATIONS}/*.xml in {folder}, expected PASCAL VOC's, one file an image;"
            " fix the path or boxes.imported.format"
        )
    names = pa.array(files, pa.string())
    rows_K = tree_rows(folder, names, catalog)
    found = read_voc_xml(folder / _ANNOTATIONS, files)
    boxed_M = np.asarray(pc.index_in(pa.array(found.image_keys, pa.string()), value_set=names), np.int64)
    return MatchedBoxes(
        rows_K[boxed_M],
        np.array(found.corners, np.float64).reshape(-1, 4),
        empty_K=rows_K[np.setdiff1d(np.arange(len(files)), boxed_M)],
        first_pixel=_FIRST_PIXEL,
    )


def write(folder: str | Path, catalog: pa.Table, table: pa.Table, origin: Origin = ORIGIN_UNKNOWN, /) -> int:
    """Write annotations, lists, and links to the images where these are files on this machine.

    Corners are rounded to whole pixels, of which a box has at least one in each direction. Where nothing was found, the
    box is `difficult`, which is how VOC says that an object should not count.

    Raises:
        UserError: the folder is taken, the table does not fit the catalog, names of images are too alike, or one would
            break a line.
    """
    with exporting(folder, catalog, table) as (unfinished, rows):
        breaking_N = np.asarray(pc.match_substring_regex(rows.images.column("image_id"), "[\n\r]"), bool)
        check_rows(rows.images, breaking_N, "voc", "with a line break in the name, which VOC's lists cannot hold")
        names, classes = tree_names(catalog), find_classes(catalog)
        class_texts = pa.array([_xml(name) for name in classes.names], pa.string())
        root = origin.folder_of_images(catalog)
        for split, name in SPLITS.items():
            of_split = rows.of_split(split)
            if not len(of_split.images):
                continue
            (unfinished / _LISTS).mkdir(parents=True, exist_ok=True)
            with (unfinished / _LISTS / f"{name}.txt").open("wb") as file:
                for some in of_split.some():
                    of_some = names.take(pa.array(some.numbers_N))
                    file.write(as_bytes(join(of_some, "\n")))
                    texts = _annotations(some, class_texts.take(pa.array(classes.indices(some))), origin)
                    files = join(of_some, ".xml").to_pylist()
                    write_files(unfinished / _ANNOTATIONS, files, texts.cast(pa.binary()).to_pylist())
                    if root is not None:
                        link_images(unfinished / _IMAGES, join(of_some, ".jpg").to_pylist(), root, some.image_ids)
    return rows.num_left_out


def _annotations(rows: ExportRows, class_texts: pa.Array, origin: Origin) -> pa.Array:
    sizes_N2 = rows.sizes_N2
    first_N2 = np.clip(np.rint(rows.boxes_N4[:, :2]), 0, sizes_N2 - 1).astype(np.int64) + _FIRST_PIXEL
    last_N2 = np.clip(np.rint(rows.boxes_N4[:, 2:]).astype(np.int64), first_N2, sizes_N2)
    paths = [image_id.rpartition("/") for image_id in rows.image_ids]
    width, height = (numbers(side_N) for side_N in sizes_N2.T)
    xmin, ymin, xmax, ymax = (numbers(v) for v in (*first_N2.T, *last_N2.T))
    return join(
        "<annotation>\n  <folder>",
        pa.array([_xml(front) for front, _, _ in paths], pa.string()),
        "</folder>\n  <filename>",
        pa.array([_xml(name) for _, _, name in paths], pa.string()),
        f"</filename>\n  <source><database>{_xml(origin.title)}</database></source>\n  <size><width>",
        width,
        "</width><height>",
        height,
        "</height><depth>3</depth></size>\n  <segmented>0</segmented>\n  <object>\n    <name>",
        class_texts,
        "</name>\n    <pose>Unspecified</pose><truncated>0</truncated><difficult>",
        numbers((~rows.foreground_N).astype(np.int8)),
        "</difficult>\n    <bndbox><xmin>",
        xmin,
        "</xmin><ymin>",
        ymin,
        "</ymin><xmax>",
        xmax,
        "</xmax><ymax>",
        ymax,
        "</ymax></bndbox>\n  </object>\n</annotation>\n",
    )


def _xml(text: str) -> str:
    """A name as XML has it, which lacks some characters that a file's name may have."""
    return escape(_NO_XML.sub("\N{REPLACEMENT CHARACTER}", text))
