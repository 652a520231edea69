"""Ground-truth boxes from PASCAL VOC's XML, a file an image."""

import errno
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pyarrow as pa

from psol_ray.catalog.annotations import Annotations, numbers_of
from psol_ray.catalog.csv_columns import VOC_CORNERS
from psol_ray.catalog.paired import read_whole
from psol_ray.catalog.unicode_forms import stored_paths
from psol_ray.errors import UserError
from psol_ray.storage.tree import DataPath
from psol_ray.work.threads import map_waiting

__all__ = ["read_voc_xml"]

_NO_FILE = (errno.ENOENT, errno.ENAMETOOLONG)
_DECLARED = re.compile(rb"""^\s*<\?xml[^>]*?encoding=["']([\w.:-]+)["'][^>]*\?>""")


@dataclass(frozen=True)
class _Image:
    """What a file says of its image."""

    objects: list[tuple[str, list[float]]] = field(default_factory=list)
    size: tuple[int, int] | None = None


def read_voc_xml(folder: DataPath, image_keys: Sequence[str], broken: list[str] | None = None) -> Annotations:
    """Read `folder/KEY.xml` in PASCAL VOC's form for each key; a key without a file has no box.

    Args:
        folder: of the files.
        image_keys: their names without suffix, or paths.
        broken: takes in what is wrong with those that are not of this form, instead of an error.

    Threads hide the waiting of a network filesystem; ImageNet's 50,000 validation files parse in seconds.

    Raises:
        UserError: a file is not of this form.
        OSError: one cannot be read, or is a folder or a pipe.
    """
    found = Annotations()
    files = pa.array([f"{key}.xml" for key in image_keys], pa.string())
    names = stored_paths(str(folder), files) if isinstance(folder, Path) else files
    read = _read if broken is None else partial(_read_if_whole, broken)
    images = map_waiting(read, [folder / name for name in names.to_pylist()])
    for key, image in zip(image_keys, images, strict=True):
        if image.size:
            found.image_sizes[key] = image.size
        for class_name, corners in image.objects:
            found.add(key, class_name, corners)
    return found


def _read_if_whole(broken: list[str], path: DataPath) -> _Image:
    try:
        return _read(path)
    except UserError as error:
        broken.append(str(error))
        return _Image()


def _read(path: DataPath) -> _Image:
    try:
        data = read_whole(path)
    except OSError as error:
        if error.errno in _NO_FILE:
            return _Image()
        raise
    root = _parse(path, data)
    if root.tag.rpartition("}")[2] != "annotation":
        raise UserError(
            f"{path}: found <{root.tag}>, expected <annotation> of PASCAL VOC; unpack the annotations again"
        )
    return _Image([_object(path, item) for item in root.findall("{*}object")], _size(root))


def _parse(path: DataPath, data: bytes) -> ET.Element:
    try:
        try:
            return ET.fromstring(data)
        except (ValueError, LookupError):  # an encoding that Python's parser does not know by itself, GB2312 say
            declared = _DECLARED.match(data)
            if not declared:
                raise
            return ET.fromstring(data[declared.end() :].decode(declared[1].decode("ascii")))
    except (ET.ParseError, ValueError, LookupError) as error:
        raise UserError(f"{path}: found {error}, expected XML; unpack the annotations again") from None


def _object(path: DataPath, item: ET.Element) -> tuple[str, list[float]]:
    name = (item.findtext("{*}name") or "").strip()
    if not name:
        raise UserError(f"{path}: found an object without name, expected its class; unpack the annotations again")
    texts = [item.findtext(f"{{*}}bndbox/{{*}}{corner}") or "nothing" for corner in VOC_CORNERS]
    return name, numbers_of(str(path), texts)


def _size(root: ET.Element) -> tuple[int, int] | None:
    """Width and height; None where they are not said, which some tools write as 0."""
    try:
        width, height = (int(root.findtext(f"{{*}}size/{{*}}{side}") or 0) for side in ("width", "height"))
    except ValueError:
        return None
    return (width, height) if width > 0 and height > 0 else None
