"""What a catalog was made from, apart from names: sizes and times of files, and the content of a few."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.catalog.listing import Listing
from psol_ray.catalog.said_sizes import check_listed_sizes

__all__ = ["FILES", "FOLDER", "Source", "find_other_samples", "look_at"]

FILES = pa.schema(
    [
        ("bytes", pa.int64()),  # size of the image's file; -1 where it is away, or was not looked for
        ("modified", pa.int64()),  # when it was written last, in nanoseconds since 1970; -1 likewise
    ]
)
"""Columns that a catalog has beside those of `CATALOG`, by which its images' files are known again."""

FOLDER = "a folder"
"""Stands for the hash of annotations that are many files: ImageNet's XML, which is read with the listing anyway."""

_NUM_THREADS = 16  # asking for a file on a network filesystem is waiting
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
    """

    files: pa.Table
    root: Mapping[str, Any]
    annotations: Mapping[str, str]
    images: str
    truth: str
    samples: Mapping[str, str]

    @property
    def details(self) -> dict[str, Any]:
        """What is kept of it beside the columns of `FILES`."""
        return {name: getattr(self, name) for name in ("root", "annotations", "images", "truth", "samples")}

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
    identity = {"path": os.path.realpath(root), "number": os.stat(root).st_ino if os.path.isdir(root) else None}
    image_ids = listing.images.column("image_id")
    if "width" in listing.images.column_names and identity["number"] is not None:
        rows = pc.index_in(pa.array(_spread(image_ids)), value_set=image_ids)
        check_listed_sizes(root, listing.images.take(rows), home)
    return Source(
        _stat_files(root, image_ids),
        identity,
        {os.path.relpath(path, home): FOLDER if path.is_dir() else _hash(path) for path in listing.annotations},
        _digest(listing.images.drop_columns(["gt_boxes"])),
        _digest(listing.images.select(["gt_boxes"])),
        _hash_images(root, _spread(image_ids)),
    )


def find_other_samples(root: str, samples: Mapping[str, str]) -> list[str]:
    """Which of a catalog's `samples` have another content now; one that is away has none."""
    now = _hash_images(root, list(samples))
    return [image_id for image_id, found in samples.items() if found and now[image_id] and now[image_id] != found]


def _hash_images(root: str, image_ids: Sequence[str]) -> dict[str, str]:
    with ThreadPoolExecutor(_NUM_THREADS) as pool:
        return dict(zip(image_ids, pool.map(lambda image_id: _hash(Path(root, image_id)), image_ids), strict=True))


def _spread(image_ids: pa.ChunkedArray) -> list[str]:
    rows = np.unique(np.linspace(0, len(image_ids) - 1, _NUM_SAMPLES).astype(np.int64))
    return image_ids.take(rows).to_pylist() if len(image_ids) else []


def _digest(table: pa.Table) -> str:
    digest = hashlib.sha256(str(table.schema).encode())
    for batch in table.combine_chunks().to_batches(_FILES_AT_ONCE):
        digest.update(batch.serialize())
    return digest.hexdigest()


def _stat_files(root: str, image_ids: pa.ChunkedArray) -> pa.Table:
    starts = range(0, len(image_ids), _FILES_AT_ONCE)
    with ThreadPoolExecutor(_NUM_THREADS) as pool:
        parts = pool.map(partial(_stat_some, root), (image_ids.slice(start, _FILES_AT_ONCE) for start in starts))
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


def _hash(path: Path) -> str:
    if not path.is_file():  # nothing is opened that might wait for ever
        return ""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError:
        return ""
