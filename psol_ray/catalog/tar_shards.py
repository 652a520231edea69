"""Images in tar shards, as WebDataset has them: `KEY.jpg` beside `KEY.cls` or `KEY.json`, or in a folder a class.

Nothing is unpacked: an image is bytes of its shard, found by where they begin. Shards that `psol pack` has written
have an index beside them, so that they need not be read for a catalog.
"""

import json
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from typing import IO, Any

from psol_ray.catalog.annotations import numbers_of
from psol_ray.catalog.headers import size_of
from psol_ray.catalog.listing import Listing
from psol_ray.catalog.passed_over import Reason
from psol_ray.catalog.shard_index import INDEX_FILE, read_index
from psol_ray.catalog.shards import Shard, ShardImages, find_shards, list_shards
from psol_ray.catalog.tar_members import read_member, tar_members
from psol_ray.errors import UserError
from psol_ray.images.picture_formats import picture_suffixes
from psol_ray.storage.tree import DataPath, open_stream

__all__ = ["list_tar_shards"]

_COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")
_CLASS_KEYS = ("class_name", "wnid", "synset", "class", "label", "cls")
_NUM_CORNERS = 4
_SHOWN = 60  # characters of what is not as expected
_WNID = re.compile(r"n\d{8}(?=_)")


def list_tar_shards(root: DataPath) -> Listing:
    """List the images of tar files::

        *.tar, {train,val}/*.tar    KEY.jpg with KEY.cls (a number or a name) or KEY.json (class_name, label, gt_boxes);
                                    or CLASS/NAME.jpg; or nWNID_NUMBER.jpg
        psol.parquet                where they are, as `psol pack` writes it; may be absent

    Names with `train` in them are training images, those with `val` or else `test` the test split.

    Raises:
        UserError: there are no tar files, one is cut short, compressed, or several joined, or an image has no class,
            or boxes that are none.
    """
    index = root / INDEX_FILE
    shards = find_shards(root, ".tar")
    if index.is_file():
        return read_index(root, index, shards)
    if not shards:
        compressed = [shard.name for suffix in _COMPRESSED for shard in find_shards(root, suffix)]
        if compressed:
            raise UserError(
                f"{root}: found {compressed[0]}, which is compressed, expected .tar, of which parts can be read;"
                " uncompress it (images gain nothing by it)"
            )
        raise UserError(f"{root}: found no .tar files, expected shards such as train-00000.tar; set data.root to them")
    return list_shards(root, shards, _read_shard)


def _read_shard(shard: Shard) -> ShardImages:
    images = ShardImages()
    with open_stream(shard.path) as file:
        for key, members in _samples(tar_members(shard, file, images.passed_over)):
            _take_in(shard, file, key, members, images)
    return images


def _samples(members: Iterable[tarfile.TarInfo]) -> Iterator[tuple[str, dict[str, tarfile.TarInfo]]]:
    """Keys and their members by suffix; members of a key follow each other."""
    key, found = "", dict[str, tarfile.TarInfo]()
    for member in members:
        folder, _, name = member.name.rpartition("/")
        stem, _, suffix = name.partition(".")
        this = f"{folder}/{stem}" if folder else stem
        if found and (this != key or suffix in found):
            yield key, found
            found = {}
        key = this
        found[suffix] = member
    if found:
        yield key, found


def _take_in(
    shard: Shard, file: IO[bytes], key: str, members: Mapping[str, tarfile.TarInfo], images: ShardImages
) -> None:
    found = [suffix for suffix in members if f".{suffix.rpartition('.')[2].lower()}" in picture_suffixes()]
    # Beside a.jpg, a.seg.png is a mask of it, or a depth: something of the same image.
    pictures = [suffix for suffix in found if "." not in suffix] or found
    images.passed_over.update((Reason.SUFFIX, f".{suffix}") for suffix in found or members if suffix not in pictures)
    if not pictures:
        return
    said = _said(shard, file, members)
    class_name = _class_of(shard, key, said, images.synsets)
    boxes = _boxes(f"{shard.path}, {key}", said.get("gt_boxes"))
    if class_name is None:
        images.passed_over[Reason.UNLABELLED, ""] += len(pictures)
        return
    for suffix in pictures:
        member = members[suffix]
        name = said.get("image_id") if len(pictures) == 1 else None
        data = read_member(file, member)
        images.add(
            str(name or member.name),
            class_name,
            (member.offset_data, member.size),
            size_of(data),
            boxes,
            own_name=member.name,
        )


def _said(shard: Shard, file: IO[bytes], members: Mapping[str, tarfile.TarInfo]) -> dict[str, Any]:
    """What texts beside an image say of it."""
    said: dict[str, Any] = {}
    try:
        if "json" in members:
            found = json.loads(read_member(file, members["json"]))
            said |= found if isinstance(found, dict) else {}
        if "cls" in members:
            said["cls"] = read_member(file, members["cls"]).decode().strip()
    except ValueError as error:
        name = next(iter(members.values())).name
        raise UserError(f"{shard.path}, {name}: found {error} beside it, expected JSON or text; fix it") from None
    return said


def _boxes(where: str, found: Any) -> list[list[float]]:
    if not found:
        return []
    if not isinstance(found, list) or not all(isinstance(box, list) and len(box) == _NUM_CORNERS for box in found):
        raise UserError(
            f"{where}: found {str(found)[:_SHOWN]} as gt_boxes, expected a list of boxes, each a list of four numbers;"
            " mend it"
        )
    return [numbers_of(where, [str(number) for number in box]) for box in found]


def _class_of(shard: Shard, key: str, said: Mapping[str, Any], synsets: set[tuple[str, str]]) -> str | None:
    """What a sample's class is called; None where it has none, which a negative number says.

    Where the number of a synset is said beside it, `synsets` takes in both.
    """
    folder, _, name = key.rpartition("/")
    wnid = _WNID.match(name)
    found = next((said[name] for name in _CLASS_KEYS if said.get(name) not in (None, "")), None)
    if isinstance(found, list | dict):
        raise UserError(
            f"{shard.path}, {key}: found {str(found)[:_SHOWN]} as its class, expected a number or a name; mend it"
        )
    text = "" if found is None else str(found)
    number = text.zfill(4) if text.removeprefix("-").isdigit() else ""
    if text and not number:
        return text
    if wnid:
        if number:
            synsets.add((number, wnid.group()))
        return wnid.group()
    if number:
        return None if number.startswith("-") else number
    if folder:
        return folder.rpartition("/")[2]
    raise UserError(
        f"{shard.path}: found no class for {key}, expected {key}.cls or {key}.json with a label or class_name, or"
        " folders named by class; make the shards with one of these"
    )
