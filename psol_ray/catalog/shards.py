"""What tar and Parquet shards have in common: which there are, of which split, and the listing of their images."""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from psol_ray.catalog.annotations import Annotations, box_lists
from psol_ray.catalog.class_folders import string_array
from psol_ray.catalog.listing import TEST, TRAIN, Listing, join_splits, split_table
from psol_ray.catalog.passed_over import PassedOver, Reason
from psol_ray.catalog.split_names import splits_of
from psol_ray.errors import UserError, abbreviate
from psol_ray.storage.tree import DataPath, StorePath
from psol_ray.tables.image_ids import check_listed_ids

__all__ = ["Shard", "ShardImages", "find_shards", "list_shards"]

_NUM_THREADS = 16
# Where shards lie: beside each other, in a folder a split, or as the hubs have them.
_DEPTH = 2


@dataclass(frozen=True)
class Shard:
    """A file of images: where, its path below the root, when it was written last, and its bytes."""

    path: DataPath
    name: str
    modified: int
    size: int


@dataclass
class ShardImages:
    """The images of one shard, column by column, in their order there."""

    names: list[str] = field(default_factory=list)
    own_names: list[str] = field(default_factory=list)  # of their members or rows, whatever these say beside it
    classes: list[str] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)  # the first byte, or the row
    sizes: list[int] = field(default_factory=list)  # bytes
    widths: list[int] = field(default_factory=list)
    heights: list[int] = field(default_factory=list)
    boxes: list[Sequence[Sequence[float]]] = field(default_factory=list)
    synsets: set[tuple[str, str]] = field(default_factory=set)
    """What samples that say both show numbers of classes to be."""
    passed_over: PassedOver = field(default_factory=Counter)

    def add(
        self,
        name: str,
        class_name: str,
        place: tuple[int, int],
        size: tuple[int, int],
        boxes: Sequence[Sequence[float]] = (),
        *,
        own_name: str,
    ) -> None:
        """Take in an image; `place` is where it begins and how many bytes it has, `size` its width and height."""
        self.names.append(name)
        self.own_names.append(own_name)
        self.classes.append(class_name)
        self.offsets.append(place[0])
        self.sizes.append(place[1])
        self.widths.append(size[0])
        self.heights.append(size[1])
        self.boxes.append(boxes)

    @property
    def unique_names(self) -> list[str]:
        """What the images are called, or, where several are called the same, what their members or rows are."""
        return self.names if len(set(self.names)) == len(self.names) else self.own_names


def find_shards(root: DataPath, suffix: str) -> list[Shard]:
    """All files of this suffix in the root and up to two folders below it, sorted by name."""
    found: list[Shard] = []
    folders = [(root, "")]
    for _ in range(_DEPTH + 1):
        below = []
        for folder, prefix in folders:
            for name, is_folder, size, modified in _entries(folder):
                if name.startswith((".", "_")):
                    continue
                if is_folder:
                    below.append((folder / name, f"{prefix}{name}/"))
                elif name.endswith(suffix):
                    found.append(Shard(folder / name, f"{prefix}{name}", modified, size))
        folders = below
    return sorted(found, key=lambda shard: shard.name)


def _entries(folder: DataPath) -> list[tuple[str, bool, int, int]]:
    if isinstance(folder, StorePath):
        return [(name, each.is_folder, each.size, each.modified) for name, each in folder.entries().items()]
    stats = [(path, path.stat()) for path in folder.iterdir()]
    return [(path.name, path.is_dir(), stat.st_size, stat.st_mtime_ns) for path, stat in stats]


def list_shards(root: DataPath, shards: Sequence[Shard], read: Callable[[Shard], ShardImages]) -> Listing:
    """The listing of all images in shards, with sizes and places.

    An image is named as in its shard, or, where shards have names in common, by its shard and that name.

    Raises:
        UserError: a shard cannot be read, or there are no training images.
    """
    splits, remarks = _splits(root, shards)
    used = [shard for shard in shards if shard.name in splits]
    with ThreadPoolExecutor(_NUM_THREADS) as pool:
        found = list(pool.map(read, used))
    images = _joined(root, used, found)
    of_shard = pa.array([splits[shard.name] for shard in used]).take(images["number"])
    tables = []
    for split in (TRAIN, TEST):
        some = images.filter(pc.equal(of_shard, split))
        ids = some["image_id"].combine_chunks()
        tables.append(split_table(split, ids, some["class_name"].combine_chunks(), some["gt_boxes"].combine_chunks()))
    if not len(tables[0]):
        raise UserError(f"{root}: found no training images in {len(used)} shards, expected some; add them")
    passed_over = sum((each.passed_over for each in found), Counter())
    passed_over.update((Reason.SHARD, shard.name) for shard in shards if shard.name not in splits)
    listing = join_splits(
        root, tables[0], tables[1] if len(tables[1]) else None, passed_over=passed_over, remarks=remarks
    )
    return _with_places(listing, images, used)


def _splits(root: DataPath, shards: Sequence[Shard]) -> tuple[dict[str, str], list[str]]:
    """The split of each shard that is read, and what to tell of it; words of folders and names say it."""
    splits = splits_of(shard.name for shard in shards)
    remarks = [] if TEST in splits.values() else ["no shard has val or test in its name, so there is no test split"]
    if TRAIN not in splits.values():
        names = abbreviate([shard.name for shard in shards])
        raise UserError(f"{root}: found only shards of test images ({names}), expected train in some names; add them")
    return splits, remarks


def _joined(root: DataPath, shards: Sequence[Shard], found: Sequence[ShardImages]) -> pa.Table:
    """A table of all images, with the number of their shard."""
    number_N = np.repeat(np.arange(len(found)), [len(each.names) for each in found])
    names_of = [each.unique_names for each in found]
    names = string_array([name for some in names_of for name in some], root)
    if len(pc.unique(names)) < len(names):
        stems = [shard.name.rpartition(".")[0] for shard in shards]
        names = string_array([f"{stems[i]}/{name}" for i, some in enumerate(names_of) for name in some], root)
        _check_unique(shards, names, number_N)
    check_listed_ids(root, names)
    boxes = Annotations()
    for key, corners in zip(names.to_pylist(), (box for each in found for box in each.boxes), strict=True):
        for box in corners:
            boxes.add(key, "", box)
    columns = {"offset": "offsets", "bytes": "sizes", "width": "widths", "height": "heights"}
    return pa.table(
        {
            "image_id": names,
            "class_name": string_array(_class_names(found), root),
            "gt_boxes": box_lists(names, boxes),
            "number": pa.array(number_N),
            **{
                name: pa.array(np.concatenate([np.array(getattr(each, source), np.int64) for each in found]))
                for name, source in columns.items()
            },
        }
    )


def _class_names(found: Sequence[ShardImages]) -> list[str]:
    """The class of each image; a number is the synset that others show it to be, unless they show several."""
    pairs: set[tuple[str, str]] = set().union(*(each.synsets for each in found))
    shown = Counter(number for number, _ in pairs)
    synset_of = {number: synset for number, synset in pairs if shown[number] == 1}
    return [synset_of.get(name, name) for each in found for name in each.classes]


def _check_unique(shards: Sequence[Shard], names: pa.Array, number_N: np.ndarray) -> None:
    counts = pc.value_counts(names)
    twice = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
    if len(twice):
        shard = shards[int(number_N[pc.index(names, twice[0]).as_py()])]
        raise UserError(
            f"{shard.path}: found {len(twice)} images of the same name ({abbreviate(twice.to_pylist())}), expected each"
            " once; make the shard anew"
        )


def _with_places(listing: Listing, images: pa.Table, shards: Sequence[Shard]) -> Listing:
    """The listing with the columns of sizes and places, in its order."""
    rows = pc.index_in(listing.images["image_id"], value_set=images["image_id"].combine_chunks())
    images = images.take(rows)
    names = pa.array([shard.name for shard in shards]).take(images["number"].combine_chunks())
    modified = pa.array([shard.modified for shard in shards], pa.int64()).take(images["number"].combine_chunks())
    table = listing.images
    for name in ("width", "height"):
        table = table.append_column(name, images[name].cast(pa.int32()))
    table = table.append_column("shard", names).append_column("offset", images["offset"])
    files = pa.table({"bytes": images["bytes"], "modified": modified})
    return Listing(table, passed_over=listing.passed_over, remarks=listing.remarks, files=files)
