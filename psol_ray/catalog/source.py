"""What a catalog was made from, apart from names: sizes and times of files, and the content of a few."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from psol_ray.catalog.listing import FILES, Listing
from psol_ray.catalog.said_sizes import check_listed_sizes
from psol_ray.storage.addresses import Address, image_addresses, is_uri
from psol_ray.storage.reader import read
from psol_ray.storage.tree import DataPath, StorePath, data_path, identity, relative_name
from psol_ray.tables.schemas import PLACES
from psol_ray.work.threads import map_waiting

__all__ = ["FOLDER", "Source", "find_other_samples", "look_at"]

FOLDER = "a folder"
"""Stands for the hash of annotations that are many files: ImageNet's XML, which is read with the listing anyway."""

_FILES_AT_ONCE = 4096
_NUM_SAMPLES = 64


@dataclass(frozen=True)
class Source:
    """What a listing was made from, beside its images' names.

    Attributes:
        files: a table of schema `FILES`, a row an image.
        root: what the images' folder is, however it is spelt: its real path, and its number in the file system.
        annotations: a hash of each annotation file, by its path from the folder that was listed.
        images: a hash of the listing without its boxes, which changes with any image's name, split and class.
        truth: a hash of its boxes.
        samples: a hash of the content of some images' files, by image, spread over the listing.
        places: where these are, of images in shards: the values of `PLACES`.
    """

    files: pa.Table
    root: Mapping[str, Any]
    annotations: Mapping[str, str]
    images: str
    truth: str
    samples: Mapping[str, str]
    places: Mapping[str, Sequence[Any]]

    @property
    def details(self) -> dict[str, Any]:
        """What is kept of it beside the columns of `FILES`."""
        return {name: getattr(self, name) for name in ("root", "annotations", "images", "truth", "samples", "places")}

    @property
    def digest(self) -> str:
        """16 hex digits that change with the images listed, and with any file's size or time, wherever they lie.

        Not with the ground truth: no pseudo box and no network is made of it, so that whoever fixes an annotation
        need not make them again.
        """
        return hashlib.sha256(f"{self.images} {_digest(self.files)}".encode()).hexdigest()[:16]


def look_at(root: str, home: str, listing: Listing) -> Source:
    """Ask for size and time of each image's file, and read the annotation files and some images.

    Args:
        root: the folder that image ids are relative to; it need not be there where the listing says sizes.
        home: the folder that was listed.
        listing: what was found there.

    Raises:
        UserError: the listing says sizes, and some images have others.
    """
    place = _identity(root)
    images = listing.images
    files = _stat_files(root, images.column("image_id")) if listing.files is None else listing.files
    some = _spread(images if "shard" not in images.column_names else images.append_column("bytes", files["bytes"]))
    if "width" in images.column_names and "shard" not in images.column_names and place["there"]:
        check_listed_sizes(root, some, home)
    hashes, above = _hash_images(root, some), data_path(home)
    return Source(
        files,
        {"path": place["path"], "number": place["number"]},
        {relative_name(path, above): FOLDER if path.is_dir() else _hash(path) for path in listing.annotations},
        _digest(images.drop_columns(["gt_boxes"])),
        _digest(images.select(["gt_boxes"])),
        hashes,
        _places(some),
    )


def _identity(root: str) -> dict[str, Any]:
    """Where a root is, and what it is there, however it is spelt; and whether it is there at all."""
    if is_uri(root):
        return {"path": identity(root), "number": 0, "there": True}
    there = os.path.isdir(root)
    return {"path": os.path.realpath(root), "number": os.stat(root).st_ino if there else None, "there": there}


def find_other_samples(root: str, details: Mapping[str, Any]) -> list[str]:
    """Which of the samples in a catalog's `Source.details` have another content now; one that is away has none."""
    samples, places = details.get("samples", {}), details.get("places", {})
    columns: dict[str, Any] = {"image_id": list(samples), "width": [1] * len(samples)}
    if places:
        columns |= {name: [places[image_id][i] for image_id in samples] for i, name in enumerate(PLACES.names)}
    now = _hash_images(root, pa.table(columns)) if samples else {}
    return [image_id for image_id, found in samples.items() if found and now[image_id] and now[image_id] != found]


def _places(images: pa.Table) -> dict[str, list[Any]]:
    if "shard" not in images.column_names:
        return {}
    rows = images.select(PLACES.names).to_pylist()
    return {image_id: list(row.values()) for image_id, row in zip(images["image_id"].to_pylist(), rows, strict=True)}


def _hash_images(root: str, images: pa.Table) -> dict[str, str]:
    """A hash of the content of each image, empty where that cannot be read."""
    image_ids = images.column("image_id").to_pylist()
    if "width" not in images.column_names:
        images = images.append_column("width", pa.array(np.ones(len(images), np.int32)))
    return dict(zip(image_ids, map_waiting(_hash_image, image_addresses(root, images)), strict=True))


def _hash_image(address: Address) -> str:
    if isinstance(address, str):
        return _hash(Path(address)) if address else ""
    try:
        return hashlib.sha256(read(address)).hexdigest()[:16]
    except OSError:
        return ""


def _spread(images: pa.Table) -> pa.Table:
    """Some rows from all over a table."""
    return images.take(np.unique(np.linspace(0, len(images) - 1, min(_NUM_SAMPLES, len(images))).astype(np.int64)))


def _digest(table: pa.Table) -> str:
    digest = hashlib.sha256(str(table.schema).encode())
    for batch in table.combine_chunks().to_batches(_FILES_AT_ONCE):
        digest.update(batch.serialize())
    return digest.hexdigest()


def _stat_files(root: str, image_ids: pa.ChunkedArray) -> pa.Table:
    starts = range(0, len(image_ids), _FILES_AT_ONCE)
    parts = map_waiting(partial(_stat_some, root), (image_ids.slice(start, _FILES_AT_ONCE) for start in starts))
    stats_N2 = np.concatenate([np.zeros((0, 2), np.int64), *parts])
    return pa.table({"bytes": stats_N2[:, 0].copy(), "modified": stats_N2[:, 1].copy()}).cast(FILES)


def _stat_some(root: str, image_ids: pa.ChunkedArray) -> NDArray[np.int64]:
    stats = []
    for image_id in image_ids.to_pylist():
        try:
            found = os.stat(f"{root}/{image_id}")
        except (OSError, ValueError):  # the latter for a name that no file can have
            stats.append((-1, -1))
        else:
            stats.append((found.st_size, found.st_mtime_ns))
    return np.array(stats, np.int64).reshape(-1, 2)


def _hash(path: DataPath) -> str:
    try:
        if not path.is_file():  # nothing is opened that might wait for ever
            return ""
        if isinstance(path, StorePath):
            return hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError:
        return ""
