"""The contact sheet: which images are on it, and all that its script is told of each."""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
from markupsafe import Markup
from numpy.typing import NDArray

from psol_ray.evaluation.quality import MEASURES, doubts
from psol_ray.report.gallery import ImageRows, SplitView
from psol_ray.report.thumbnails import Thumbnail, make_thumbnail
from psol_ray.storage.addresses import Address, image_addresses
from psol_ray.storage.ahead import fetched

__all__ = ["Chosen", "as_script", "choose", "sheet_images"]

NUM_IMAGES = 800
MAX_BYTES = 19_000_000
"""Of thumbnails as text: with all else the page stays below 25 MB."""
_SIDE, _QUALITY = 320, 74
_LEAST_PER_CLASS = 3  # of one list: whole classes are doubtful at once


Chosen = tuple[SplitView, int, float]
"""A split, a row in it, and how doubtful its pseudo box is."""


def choose(views: Sequence[SplitView], count: int = NUM_IMAGES) -> list[Chosen]:
    """Choose images of all splits: the worst, the most doubtful, and some at even distances, in turns.

    Returns:
        Split, row in it, and doubt of each image, without repetitions; the first ones tell most.
    """
    doubt = [doubts(view.boxes) for view in views]
    split_N = np.repeat(np.arange(len(views)), [len(view.images) for view in views])
    row_N = np.concatenate([np.arange(len(view.images)) for view in views])
    label_N = np.concatenate([view.images["label"].to_numpy() for view in views])
    orders = [
        np.concatenate(columns)
        for columns in (
            [view.pseudo_iou_N for view in views],
            [-doubt_N for doubt_N in doubt],
            [view.localizer_iou_N for view in views],
        )
    ]
    shown_N = np.concatenate([~np.isnan(view.pseudo_N4[:, 0]) | ~np.isnan(view.localizer_N4[:, 0]) for view in views])
    lists = [_lowest(order_N, shown_N, label_N, count) for order_N in orders]
    lists.append(_scattered(np.flatnonzero(shown_N), count))
    chosen = _in_turns([rows for rows in lists if len(rows)], count)
    return [(views[split_N[at]], int(row_N[at]), float(doubt[split_N[at]][row_N[at]])) for at in chosen]


def _lowest(
    order_N: NDArray[np.float64], shown_N: NDArray[np.bool_], label_N: NDArray[np.generic], count: int
) -> ImageRows:
    """The lowest, of no class more than twice its share."""
    rows = np.flatnonzero(shown_N & np.isfinite(order_N))
    rows = rows[np.argsort(order_N[rows], kind="stable")]
    most = max(_LEAST_PER_CLASS, 2 * count // max(len(np.unique(label_N)), 1))
    _, class_N = np.unique(label_N[rows], return_inverse=True)
    by_class = np.argsort(class_N, kind="stable")
    starts = np.flatnonzero(np.diff(class_N[by_class], prepend=-1))
    place_N = np.empty(len(rows), np.int64)
    place_N[by_class] = np.arange(len(rows)) - np.repeat(starts, np.diff([*starts, len(rows)]))
    return rows[place_N < most][:count]


def _scattered(rows: ImageRows, count: int) -> ImageRows:
    """At even distances, and so that any beginning of them is spread over all."""
    if not len(rows):
        return rows
    taken = rows[np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int))]
    return taken[np.argsort((np.arange(len(taken)) * 0.6180339887498949) % 1, kind="stable")]


def _in_turns(lists: Sequence[ImageRows], count: int) -> list[int]:
    """Each list's next, in turns, without what was there before."""
    chosen: dict[int, None] = {}
    for place in range(max(map(len, lists), default=0)):
        for rows in lists:
            if place < len(rows) and len(chosen) < count:
                chosen[int(rows[place])] = None
    return list(chosen)


def sheet_images(chosen: Sequence[Chosen], data_root: str, heats: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Say of each chosen image all that the page's script needs, thumbnail included.

    Args:
        chosen: see `choose`.
        data_root: the folder that every `image_id` is below.
        heats: of an image's id, its map of heat.

    Returns:
        Objects for JSON, without the last images where thumbnails are too large for one page.
    """
    images = [view.images.slice(row, 1) for view, row, _ in chosen]
    if not images:
        return []
    together = pa.concat_tables(images)
    addresses = image_addresses(data_root, together)
    sizes = list(zip(together["width"].to_pylist(), together["height"].to_pylist(), strict=True))
    with fetched(addresses), ThreadPoolExecutor(4) as threads:
        # Pillow decodes without the interpreter's lock.
        thumbnails = list(threads.map(_thumbnail, addresses, sizes))
    records, num_bytes = [], 0
    for (view, row, doubt), thumbnail in zip(chosen, thumbnails, strict=True):
        num_bytes += len(thumbnail.uri or "")
        if num_bytes > MAX_BYTES:
            break
        records.append(_record(view, row, doubt, thumbnail, heats))
    return records


def _thumbnail(address: Address, size: tuple[int, int]) -> Thumbnail:
    return make_thumbnail(address, *size, side=_SIDE, quality=_QUALITY)


def _record(view: SplitView, row: int, doubt: float, thumbnail: Thumbnail, heats: Mapping[str, Any]) -> dict[str, Any]:
    image, score, prediction, box = (
        table.slice(row, 1).to_pylist()[0] for table in (view.images, view.scores, view.predictions, view.boxes)
    )
    return {
        "id": image["image_id"],
        "class": image["class_name"],
        "split": score["split"],
        "size": [image["width"], image["height"]],
        "thumbnail": thumbnail.uri,
        "status": box["status"],
        "truth": [_rounded(gt_4) for gt_4 in image["gt_boxes"] or []],
        "pseudo": _box(view.pseudo_N4[row]),
        "localizer": _box(view.localizer_N4[row]),
        "pseudo_iou": _number(view.pseudo_iou_N[row]),
        "localizer_iou": _number(view.localizer_iou_N[row]),
        "pseudo_right": score["pseudo_right"],
        "localizer_right": score["predicted_right"],
        "doubt": _number(doubt),
        **{name: _number(box[name]) for name in MEASURES},
        "predicted": score["predicted_class"],
        "probability": _number(prediction["top_probs"][0]) if prediction["top_probs"] else None,
        "class_right": score["top1"],
        "heat": heats.get(image["image_id"]),
    }


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(float(value), 2) for value in values]


def _box(box_4: NDArray[np.float64]) -> list[float] | None:
    return None if np.isnan(box_4).any() else _rounded(box_4.tolist())


def _number(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(f"{value:.4g}")


def as_script(value: Any) -> Markup:
    """JSON that may stand in a script element, whatever names it holds: no end tag, no comment begins in it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)
