"""How well each reading fits a table of boxes, and what to do about a table that does not fit its own.

Shape suffixes: M boxes, 4 = as given, 2 = (width, height) of the box's image in pixels.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from psol_ray.geometry.readings import ANY_CORNERS, ORDERS, Floats, Reading

__all__ = [
    "MIDDLE",
    "OFF_MIDDLE",
    "SLACK",
    "Fit",
    "advice",
    "find_misfits",
    "fit_of",
    "good_fits",
    "in_unit",
    "other_fits",
]

MIDDLE, OFF_MIDDLE = 0.1, 0.25
"""Objects are in the middle, on the whole: how far from it, as a share of the side, their mean is at most; the latter
of an odd data set, where much else speaks for a reading."""
SLACK, _SLACK_PIXELS = 0.02, 2  # by how much a box may leave its image: the larger of a share of the side and pixels
_SAMPLE = 20_000  # boxes on which other readings are tried
# Fractions, percent, thousandths, and the squares to which images are resized for networks.
_SIDES = (1, 100, 1000, 224, 256, 299, 320, 384, 416, 448, 512, 640, 800, 1024)
_NO_SQUARE = _SIDES[:3]
_FAR = "far"
# What speaks against a reading beside how it fits: that nobody writes it, or that order and unit are both wrong.
_UNUSUAL, _BOTH = 0.15, 0.15


@dataclass(frozen=True)
class Fit:
    """How well a reading fits."""

    reading: Reading
    misfit: float  # share of boxes that are inside out or outside their images
    off: float  # how far from the middle boxes are on average, as a share of the side
    inside: bool  # no number but a few is beyond the images' far sides

    @property
    def badness(self) -> float:
        """What speaks against it."""
        return self.misfit + self.off

    @property
    def rank(self) -> float:
        """For the choice among those that fit, lowest first: what tools write is more likely."""
        order = self.reading.order
        unusual = _is_square(self.reading) + (Reading(order, 1).name is None) + (order == ANY_CORNERS)
        return self.badness + _UNUSUAL * unusual + 0.001 * list(ORDERS).index(order)


def find_misfits(fractions_M4: Floats, sizes_M2: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Which boxes, as corners in fractions of their images, are inside out or leave them."""
    slack_M2 = np.maximum(SLACK, _SLACK_PIXELS / sizes_M2)
    starts_M2, ends_M2 = fractions_M4[:, :2], fractions_M4[:, 2:]
    wrong_M2 = (ends_M2 < starts_M2) | (starts_M2 < -slack_M2) | (ends_M2 > 1 + slack_M2)
    return np.asarray(wrong_M2.any(axis=1))


def fit_of(numbers_M4: Floats, sizes_M2: NDArray[np.integer], reading: Reading) -> Fit:
    """How well a reading fits boxes."""
    fractions_M4 = reading.fractions(numbers_M4, sizes_M2)
    off = np.abs(np.clip(fractions_M4[:, :2] + fractions_M4[:, 2:], -1, 3).mean(axis=0) / 2 - 0.5).max()
    inside = float(np.quantile(fractions_M4, 0.99)) <= 1 + SLACK
    return Fit(reading, float(find_misfits(fractions_M4, sizes_M2).mean()), float(off), inside)


def other_fits(numbers_M4: Floats, sizes_M2: NDArray[np.integer], reading: Reading) -> Iterator[Fit]:
    """Of a sample, how well each other reading fits."""
    if len(numbers_M4) > _SAMPLE:
        rows = np.random.default_rng(0).choice(len(numbers_M4), _SAMPLE, replace=False)
        numbers_M4, sizes_M2 = numbers_M4[rows], sizes_M2[rows]
    for order in ORDERS:
        for side in (None, *_SIDES):
            if Reading(order, side) != reading:
                yield fit_of(numbers_M4, sizes_M2, Reading(order, side))


def in_unit(numbers_M4: Floats, sizes_M2: NDArray[np.integer], side: int | None) -> list[Fit]:
    """How well each order fits, in one unit."""
    return [fit_of(numbers_M4, sizes_M2, Reading(order, side)) for order in ORDERS]


def good_fits(fits: Iterable[Fit], most: float, reading: Reading) -> list[Fit]:
    """Those that fit all but a few boxes, best first.

    Args:
        fits: of which to choose.
        most: share of the boxes that may not fit.
        reading: what the file says. Where its order fits in another unit it goes first, whatever else fits: a wrong
            unit is one mistake, and a wrong order beside it another.
    """

    def rank(fit: Fit) -> float:
        both = fit.reading.side != reading.side and fit.reading.order != reading.order
        return fit.rank + both * _BOTH

    good = sorted((fit for fit in fits if fit.misfit <= most), key=rank)
    return sorted(good, key=lambda fit: not _is_own(fit, reading.order))


def _is_own(fit: Fit, order: str) -> bool:
    """Whether a reading is the file's own but for the unit; small units fit whatever is in a corner."""
    reading = fit.reading
    farthest = {1: 1.0, None: 2 * MIDDLE}.get(reading.side, MIDDLE)
    return reading.order == order and reading.name is not None and fit.off <= farthest


def _is_square(reading: Reading) -> bool:
    return reading.side is not None and reading.side not in _NO_SQUARE


def advice(good: Sequence[Fit], setting: str | None, *, all_inside_out: bool = False) -> str:
    """What boxes look like, and what to do.

    Args:
        good: what fits, best first.
        setting: where a reading can be given; None where it cannot.
        all_inside_out: every box ends before it begins, on both axes.
    """
    if not good:
        return "give the boxes of these very images in that form"
    best = good[0].reading
    if setting is None:
        return f"they look like {best.words}{_swapped([best])}: make the table again"
    named = [fit.reading for fit in _as_likely(good) if fit.reading.name]
    if all_inside_out and named and _FAR in {fit.reading.order for fit in good}:
        return (
            f"every one ends before it begins: swap the corners if they are {ORDERS[_FAR]}; else {_say(named, setting)}"
        )
    return _rewrite(good, setting) if best.name is None else _say(named, setting)


def _as_likely(good: Sequence[Fit]) -> list[Fit]:
    """The first, and what cannot be told from it without looking: other orders in its unit, and its likes."""
    side, most = good[0].reading.side, min(fit.rank for fit in good) + SLACK
    return [fit for fit in good if fit.reading.side == side or fit.rank < most]


def _say(named: Sequence[Reading], setting: str) -> str:
    first, *others = named
    if not others:
        return f"they look like {first.words}{_swapped(named)}: say so with --{setting} {first.name}"
    cases = [f"{reading.name} if it is {_words(reading, first)}" for reading in named]
    return (
        f"they fit several readings{_swapped(named)}: look at one box, and say --{setting} {', '.join(cases[:-1])},"
        f" or {cases[-1]}"
    )


def _words(reading: Reading, first: Reading) -> str:
    """The unit is said once, unless it differs."""
    return reading.words if reading is first or reading.side != first.side else ORDERS[reading.order]


def _swapped(readings: Sequence[Reading]) -> str:
    return ", or width and height of the images are swapped" if Reading("yxyx", None) in readings else ""


def _rewrite(good: Sequence[Fit], setting: str) -> str:
    """What to do about a reading that no setting names."""
    best = good[0].reading
    if _is_square(best):
        fractions = Reading(best.order, 1).name or "fractions"
        named = (fit.reading for fit in good if fit.reading.name)
        other = next((f", or --{setting} {reading.name} if they are {reading.words}" for reading in named), "")
        return (
            f"they look like {best.words} or so: divide them by the side that it was, and add --{setting} {fractions}"
            f"{other}"
        )
    say_so = f", and add --{setting} {Reading('xyxy', best.side).name}" if best.side else ""
    return f"they look like {best.words}: rewrite them as {ORDERS['xyxy']}{say_so}"
