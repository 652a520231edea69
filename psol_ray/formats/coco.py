"""COCO's JSON: `instances_SPLIT.json`, and beside it the boxes with scores, as COCO's results: `detections_SPLIT.json`.

Images are numbered by their row in the catalog and classes by their label, both from 1, so that files of different
boxes of one catalog go together.
"""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa

from psol_ray.formats.base import ORIGIN_UNKNOWN, ExportRows, MatchedBoxes, Origin, exporting
from psol_ray.formats.classes import Classes, find_classes, scores
from psol_ray.formats.coco_files import read_coco
from psol_ray.formats.names import SPLITS
from psol_ray.formats.texts import join, json_texts, numbers, sides, write_items
from psol_ray.geometry.boxes import area

__all__ = ["read", "write"]

_NOTHING_FOUND = ',"attributes":{"no_foreground":true}'


def read(path: Path, catalog: pa.Table, _threshold: float, /) -> MatchedBoxes:
    """Read annotations or results; of a folder all that it holds, where it holds both the annotations.

    Of an image's results the one with the highest score counts. Where annotations have none of an image that they list,
    nothing was found in it. Crowds are left out. Categories mean nothing but that each box has to have one of them.

    Raises:
        UserError: there is no such file, one is malformed, or speaks of images that are not in the catalog.
    """
    return read_coco(path, catalog)


def write(folder: str | Path, catalog: pa.Table, table: pa.Table, origin: Origin = ORIGIN_UNKNOWN, /) -> int:
    """Write both files of each split that has a box, clipped to the image.

    Digits are as many as a float32 has: `x + width`, as float32, is the corner to the last digit. See `scores` for what
    a score is.

    Raises:
        UserError: the folder is taken, or the table does not fit the catalog.
    """
    with exporting(folder, catalog, table) as (unfinished, rows):
        classes = find_classes(catalog)
        for split, name in SPLITS.items():
            of_split = rows.of_split(split)
            if len(of_split.images):
                with (unfinished / f"instances_{name}.json").open("wb") as file:
                    _write_instances(file, of_split, classes, origin)
                with (unfinished / f"detections_{name}.json").open("wb") as file:
                    file.write(b"[\n")
                    write_items(file, map(partial(_detections, classes), of_split.some()))
                    file.write(b"\n]\n")
    return rows.num_left_out


def _write_instances(file: IO[bytes], rows: ExportRows, classes: Classes, origin: Origin) -> None:
    info = {
        "description": origin.title,
        "version": origin.fingerprint,
        "contributor": f"psol_ray {origin.version}",
    }
    categories = [{"id": number, "name": name} for number, name in enumerate(classes.names, 1)]
    file.write(f'{{\n"info":{_json(info)},\n"licenses":[],\n"categories":{_json(categories)},\n'.encode())
    file.write(b'"images":[\n')
    write_items(file, map(_images, rows.some()))
    file.write(b'\n],\n"annotations":[\n')
    write_items(file, map(partial(_annotations, classes), rows.some()))
    file.write(b"\n]\n}\n")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _images(rows: ExportRows) -> pa.Array:
    width, height = (numbers(side_N) for side_N in rows.sizes_N2.T)
    names = json_texts(rows.image_ids)
    return join(
        '{"id":', numbers(rows.numbers_N + 1), ',"file_name":', names, ',"width":', width, ',"height":', height, "}"
    )


def _annotations(classes: Classes, rows: ExportRows) -> pa.Array:
    nothing_found = pa.array(["", _NOTHING_FOUND]).take(pa.array((~rows.foreground_N).astype(np.int8)))
    areas = numbers(area(rows.inside_N4).astype(np.float32))
    tail = join(',"area":', areas, ',"iscrowd":0', nothing_found, "}")
    return join('{"id":', numbers(rows.numbers_N + 1), *_of_image(classes, rows), tail)


def _detections(classes: Classes, rows: ExportRows) -> pa.Array:
    image, *rest = _of_image(classes, rows)
    return join("{", image[1:], *rest, ',"score":', numbers(scores(rows)), "}")


def _of_image(classes: Classes, rows: ExportRows) -> Iterator[pa.Array | str]:
    """Whose box it is, of which category, and the box."""
    box_N4 = rows.inside_N4
    corners = [numbers(box_N4[:, i].astype(np.float32)) for i in (0, 1)]
    # Of the corner as whoever reads it has it.
    lengths = [sides(np.asarray(text.cast(pa.float64())), box_N4[:, i + 2]) for i, text in enumerate(corners)]
    yield ',"image_id":'
    yield numbers(rows.numbers_N + 1)
    yield ',"category_id":'
    yield numbers(classes.indices(rows) + 1)
    for mark, texts in zip((',"bbox":[', ",", ",", ","), (*corners, *map(numbers, lengths)), strict=True):
        yield mark
        yield texts
    yield "]"
