"""In what the data are no longer those that a catalog was made from."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.catalog.headers import AWAY, read_sizes
from psol_ray.catalog.listing import FILES
from psol_ray.catalog.source import FOLDER, Source
from psol_ray.errors import abbreviate

__all__ = ["find_changes"]

_SECOND = 10**9


def find_changes(
    root: str, image_ids: pa.ChunkedArray, source: Source, recorded: pa.Table, details: Mapping[str, Any]
) -> list[str]:
    """A few words for each kind of change, names included; none where the data are the same.

    In the same folder another time is another file, even of the same size. Files at another place are compared by name
    and size, since a copy need not keep times. Some are compared by content wherever they lie: files that were swapped
    keep theirs. Annotation files that say the same in other words
    are the same.

    Args:
        root: the folder that image ids are relative to, as it was given.
        image_ids: the images that are there now.
        source: theirs.
        recorded: the catalog's `image_id` and `width`, and the columns of `FILES`.
        details: `Source.details` of when it was made.
    """
    changes = _changed_images(root, image_ids, source, recorded, details)
    others = [
        what
        for what, now, before in (
            ("other classes, sizes or places of images", source.images, details["images"]),
            ("other boxes", source.truth, details["truth"]),
        )
        if now != before
    ]
    if changes or others:
        changes += _changed_annotations(source.annotations, details["annotations"], known=bool(changes))
    # Shards say these themselves, and neither names nor sizes of images need differ.
    return changes or others


def _changed_images(
    root: str, ids: pa.ChunkedArray, source: Source, recorded: pa.Table, details: Mapping[str, Any]
) -> list[str]:
    old_ids = recorded.column("image_id")
    rows = pc.index_in(ids, value_set=old_ids.combine_chunks())
    kept = pc.is_valid(rows)
    names, now, old = ids.filter(kept), source.files.filter(kept), recorded.take(rows.drop_null())
    gone = pc.invert(pc.is_in(old_ids, value_set=ids.combine_chunks()))
    images = {"added": ids.filter(pc.invert(kept)), "removed": old_ids.filter(gone)}
    if source.root["number"] is not None:  # else the listing says sizes itself, and nobody looks for images
        other, unread = _other_content(source.samples, details["samples"])
        changed_N = _other_files(now, old, same_place=source.root == details["root"]) | _among(names, other)
        away_N = now["bytes"].to_numpy() < 0
        images["changed"] = names.filter(pa.array(changed_N & ~away_N & (old["bytes"].to_numpy() >= 0)))
        images["away"] = names.filter(pa.array((away_N & (old["bytes"].to_numpy() >= 0)) | _among(names, unread)))
        was_away = pc.and_(pc.equal(old["width"], 0), pc.less(old["bytes"], 0))
        images["there again"] = _readable(root, names.filter(was_away))
    return [
        f"{len(some):,} images {kind} ({abbreviate(some.to_pylist())})" for kind, some in images.items() if len(some)
    ]


def _other_files(now: pa.Table, old: pa.Table, *, same_place: bool) -> NDArray[np.bool_]:
    """Which files have another size or, in the same place, another time."""
    now_bytes, now_times = (now.column(name).to_numpy() for name in FILES.names)
    old_bytes, old_times = (old.column(name).to_numpy() for name in FILES.names)
    other_N = np.asarray(now_bytes != old_bytes)
    return other_N | ~_same_times(now_times, old_times) if same_place else other_N


def _other_content(now: Mapping[str, str], old: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Which samples are others now, and which cannot be read any more."""
    both = [name for name in now if old.get(name)]
    return [name for name in both if now[name] not in ("", old[name])], [name for name in both if not now[name]]


def _among(names: pa.ChunkedArray, some: list[str]) -> NDArray[np.bool_]:
    return np.asarray(pc.is_in(names, value_set=pa.array(some, pa.string())), bool)


def _same_times(some: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Equal, or as equal as a file system that keeps whole seconds can tell, which may forget the rest later."""
    whole = (some % _SECOND == 0) | (others % _SECOND == 0)
    return (some == others) | (whole & (some // _SECOND == others // _SECOND))


def _readable(root: str, image_ids: pa.ChunkedArray) -> pa.ChunkedArray:
    """Those that are not away; few, since a catalog is not made where many are."""
    if not len(image_ids):
        return image_ids
    return image_ids.filter(pa.array(read_sizes(root, image_ids.to_pylist())[:, 0] != AWAY[0]))


def _changed_annotations(now: Mapping[str, str], old: Mapping[str, str], *, known: bool) -> list[str]:
    """Which files were added, removed or changed; of a folder of them nothing is known where images are others."""
    words = {(False, True): "added", (True, False): "removed", (True, True): "changed"}
    return [
        f"{name} {words[name in old, name in now]}"
        for name in {**old, **now}
        if old.get(name) != now.get(name) or (now[name] == FOLDER and not known)
    ]
