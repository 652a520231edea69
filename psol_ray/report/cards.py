"""One image of the page: its thumbnail, the boxes on it, and what is said below."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from psol_ray.geometry.boxes import scale
from psol_ray.report.gallery import ImageRows, SplitView
from psol_ray.report.thumbnails import Thumbnail, make_thumbnail
from psol_ray.storage.addresses import Address, image_addresses
from psol_ray.storage.ahead import fetched
from psol_ray.tables.schemas import NO_FOREGROUND

__all__ = ["Card", "Outline", "Verdict", "make_cards"]


@dataclass(frozen=True)
class Outline:
    """A box in pixels of the thumbnail."""

    kind: str  # "gt", "pseudo" or "loc"
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Verdict:
    """A box and how good it is; `iou` and `correct` are None where no ground truth is known."""

    kind: str
    name: str
    iou: str | None
    correct: bool | None


@dataclass(frozen=True)
class Card:
    """All that the template needs of one image."""

    image_id: str
    class_name: str
    thumbnail: Thumbnail
    outlines: list[Outline]
    verdicts: list[Verdict]
    predicted: str | None  # most probable class
    probability: str | None
    class_correct: bool
    no_foreground: bool
    alt: str


def make_cards(view: SplitView, rows: ImageRows, data_root: str, generator: str) -> list[Card]:
    """Make the cards of some rows of a split.

    Args:
        view: the split.
        rows: positions in it.
        data_root: the folder that every `image_id` is below.
        generator: who drew the pseudo boxes.
    """
    addresses = image_addresses(data_root, view.images.take(np.asarray(rows, np.int64)))
    with fetched(addresses):
        return [_card(view, int(row), address, generator) for row, address in zip(rows, addresses, strict=True)]


def _card(view: SplitView, row: int, address: Address, generator: str) -> Card:
    image, score, prediction = (
        table.slice(row, 1).to_pylist()[0] for table in (view.images, view.scores, view.predictions)
    )
    thumbnail = make_thumbnail(address, image["width"], image["height"])
    gt_M4 = np.array(image["gt_boxes"] or [], np.float64).reshape(-1, 4)
    pseudo_4, localizer_4 = view.pseudo_N4[row], view.localizer_N4[row]
    # Drawn in this order: what the localizer says comes on top.
    outlines = [
        *_outlines("gt", gt_M4, thumbnail),
        *_outlines("pseudo", pseudo_4[None], thumbnail),
        *_outlines("loc", localizer_4[None], thumbnail),
    ]
    verdicts = [
        *_verdicts("pseudo", generator, pseudo_4, view.pseudo_iou_N[row], score["pseudo_right"]),
        *_verdicts("loc", "localizer", localizer_4, view.localizer_iou_N[row], score["predicted_right"]),
    ]
    return Card(
        image_id=image["image_id"],
        class_name=image["class_name"],
        thumbnail=thumbnail,
        outlines=outlines,
        verdicts=verdicts,
        predicted=score["predicted_class"],
        probability=f"{100 * prediction['top_probs'][0]:.0f}" if prediction["top_probs"] else None,
        class_correct=bool(score["top1"]),
        no_foreground=score["pseudo_status"] == NO_FOREGROUND,
        alt=_alt(image["class_name"], len(gt_M4), verdicts, readable=thumbnail.uri is not None),
    )


def _outlines(kind: str, boxes_N4: NDArray[np.float64], thumbnail: Thumbnail) -> list[Outline]:
    scaled = scale(boxes_N4, thumbnail.scale_x, thumbnail.scale_y)
    return [
        Outline(kind, *(round(float(v), 1) for v in (x0, y0, x1 - x0, y1 - y0)))
        for x0, y0, x1, y1 in scaled
        if not np.isnan([x0, y0, x1, y1]).any()
    ]


def _verdicts(kind: str, name: str, box_4: NDArray[np.float64], iou: float, right: bool | None) -> list[Verdict]:
    if np.isnan(box_4).any():
        return []
    if right is None:
        return [Verdict(kind, name, None, None)]
    # Rounded down: 0.499 is no 0.50, which would be right. Hundredths first, or 0.29 would be 0.28.
    return [Verdict(kind, name, f"{math.floor(round(100 * iou, 7)) / 100:.2f}", right)]


def _alt(class_name: str, num_gt: int, verdicts: list[Verdict], *, readable: bool) -> str:
    parts = [f"{num_gt} ground-truth {'box' if num_gt == 1 else 'boxes'}"] if num_gt else []
    parts += [f"{v.name} box" + (f" with IoU {v.iou}" if v.iou else "") for v in verdicts]
    return f"{class_name}{'' if readable else ' (cannot be read)'}: {', '.join(parts) or 'no boxes'}"
