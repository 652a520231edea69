"""What goes into which tar shard, where, and under which name: known before an image is read."""

import json
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from psol_ray.images.picture_formats import picture_suffixes
from psol_ray.images.stored import sniff_suffix

__all__ = ["BLOCK", "END", "PlannedShard", "plan_shards"]

BLOCK = tarfile.BLOCKSIZE
"""Bytes that each file in a tar archive is filled up to a multiple of."""
END = 2 * BLOCK
"""Bytes of the archive's end."""
_ANY = ".jpg"  # where no suffix is known yet


@dataclass(frozen=True)
class _Member:
    """A file of a shard: what is before its bytes, and these, None for those of an image.

    Of an image whose name does not say what it is, `key` is the name, and its bytes say the suffix.
    """

    header: bytes
    size: int
    data: bytes | None = None
    key: str | None = None

    @property
    def whole(self) -> int:
        return len(self.header) + self.size + -self.size % BLOCK

    def header_for(self, data: bytes) -> bytes:
        """What is before these bytes; as long as planned, for which a wrong suffix is put up with."""
        header = self.header if self.key is None else _header(self.key + sniff_suffix(data), self.size)
        return header if len(header) == len(self.header) else self.header


@dataclass(frozen=True)
class PlannedShard:
    """A shard, and the catalog's rows that go into it."""

    name: str
    images: pa.Table
    members: list[list[_Member]]
    """Of each image: itself, and what is said of it."""

    @property
    def size(self) -> int:
        """Its bytes."""
        return sum(member.whole for members in self.members for member in members) + END

    @property
    def offsets(self) -> list[int]:
        """Where each image begins."""
        found, at = [], 0
        for members in self.members:
            found.append(at + len(members[0].header))
            at += sum(member.whole for member in members)
        return found


def plan_shards(images: pa.Table, shard_bytes: int) -> Iterator[PlannedShard]:
    """The shards of catalog rows in their order, each of one split and of `shard_bytes` of images at the most."""
    keys = _Keys()
    for split in pc.unique(images["split"]).to_pylist():
        rows = images.filter(pc.equal(images["split"], split))
        total_N = np.cumsum(rows["bytes"].to_numpy())
        start = number = 0
        while start < len(rows):
            before = total_N[start - 1] if start else 0
            stop = max(int(np.searchsorted(total_N, before + shard_bytes, side="right")), start + 1)
            part = rows.slice(start, stop - start)
            yield PlannedShard(f"{split}-{number:05d}.tar", part, [_members(row, keys) for row in part.to_pylist()])
            start, number = stop, number + 1


class _Keys:
    """Names of members up to the first dot, which must differ: what has the same is one sample to other readers."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def of(self, image_id: str) -> tuple[str, str]:
        """Key and suffix of an image; none where other readers would not take the file for an image by that."""
        stem, suffix = os.path.splitext(image_id)
        if suffix.lower() not in picture_suffixes():
            stem, suffix = image_id, ""
        folder, _, name = stem.rpartition("/")
        name = name.replace(".", "_")
        key = f"{folder}/{name}" if folder else name
        while key in self._taken:
            key += f"_{suffix[1:]}"
        self._taken.add(key)
        return key, suffix


def _members(row: dict[str, Any], keys: _Keys) -> list[_Member]:
    key, suffix = keys.of(row["image_id"])
    said = {name: row[name] for name in ("image_id", "class_name", "label", "split", "width", "height", "gt_boxes")}
    texts = {".cls": str(row["label"]).encode(), ".json": json.dumps(said, separators=(",", ":")).encode()}
    image = _Member(_header(key + (suffix or _ANY), row["bytes"]), row["bytes"], key=None if suffix else key)
    return [
        image,
        *(_Member(_header(key + name, len(text)), len(text), text) for name, text in texts.items()),
    ]


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    return info.tobuf(tarfile.PAX_FORMAT)
