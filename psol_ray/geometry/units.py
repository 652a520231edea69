"""Whether a whole table of boxes is given as it is said to be, and how else it may be.

One box says little: `120 80 200 150` is a box as corners and as corner and size. A thousand do not fit a reading that
is not theirs. Of CUB's and ImageNet's boxes every wrong order puts a sixth or more outside their images or inside out,
and a unit too small crowds all of them into the top left corner.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from psol_ray.errors import UserError
from psol_ray.geometry.coordinates import Coordinates
from psol_ray.geometry.readings import ANY_CORNERS, ORDERS, Floats, Reading

__all__ = ["check_units"]

Mask = NDArray[np.bool_]

_SLACK, _SLACK_PIXELS = 0.02, 2  # by how much a box may leave its image: the larger of a share of the side and pixels
_ONE = 1.05  # as fractions, numbers are at most this
_SPECK = 0.05  # fractions that are all below this are no object, but a network that has collapsed
_FEW, _FEWEST = 8, 3  # boxes: of fewer than the first all must be wrong, and of fewer than the second nothing is said
_MISFIT = 0.05  # share of the boxes that do not fit, where another reading explains them ...
_HOPELESS = 0.2  # ... or none
_EXPLAINED = 4  # how many times fewer boxes another reading leaves unexplained
# Objects are in the middle, on the whole: how far from it, as a share of the side, their mean is at most, and how much
# farther the mean of boxes in the wrong unit.
_MIDDLE, _FROM_MIDDLE = 0.1, 0.12
_SAMPLE = 20_000  # boxes on which other readings are tried
# Fractions, percent, thousandths, and the squares to which images are resized for networks.
_SIDES = (1, 100, 1000, 224, 256, 299, 320, 384, 416, 448, 512, 640, 800, 1024)
_NO_SQUARE = _SIDES[:3]


@dataclass(frozen=True)
class _Fit:
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
        return self.badness + 0.15 * unusual + 0.001 * list(ORDERS).index(order)


def check_units(
    numbers_M4: Floats,
    sizes_M2: NDArray[np.integer],
    coordinates: Coordinates,
    source: str,
    setting: str | None,
    *,
    said: bool = False,
) -> None:
    """Raise a UserError where boxes, taken together, cannot be what they are said to be.

    Odd boxes among others are not its business. Boxes that are not finite, or of images without a size, are left out.

    Args:
        numbers_M4: as given.
        sizes_M2: of each box's image.
        coordinates: how they are read.
        source: where they were found, for the message.
        setting: where another reading can be given; None where it cannot.
        said: whether the user has said so. Then what is merely improbable is believed.
    """
    kept_M = (sizes_M2 > 0).all(axis=1) & np.isfinite(numbers_M4).all(axis=1)
    numbers_M4, sizes_M2 = np.asarray(numbers_M4, np.float64)[kept_M], sizes_M2[kept_M]
    if len(numbers_M4) < _FEWEST:
        return
    reading = Reading.of(coordinates)
    complaint = _small(numbers_M4, sizes_M2, reading, setting) or _wrong(numbers_M4, sizes_M2, reading, setting)
    if not complaint and not said and setting:
        complaint = _crowded(numbers_M4, sizes_M2, reading, setting)
    if complaint:
        raise UserError(f"{source}: found {complaint}")


def _small(numbers_M4: Floats, sizes_M2: NDArray[np.integer], reading: Reading, setting: str | None) -> str:
    """What is wrong where boxes are fractions and are read as something larger."""
    if reading.side == 1:
        return ""
    small_M = ((numbers_M4 >= 1 - _ONE) & (numbers_M4 <= _ONE)).all(axis=1) & (numbers_M4.max(axis=1) > _SPECK)
    count, total = int(small_M.sum()), len(small_M)
    if count < _MISFIT * total or (total < _FEW and (count < total or not (numbers_M4 % 1).any())):
        return ""
    words = f"{count:,} of {total:,} boxes {'smaller than a pixel' if reading.side is None else 'of numbers up to 1'}"
    if count < (1 - _MISFIT) * total:
        # A box of the corner pixel among others is that box's own affair.
        if (numbers_M4[small_M] % 1).any(axis=1).sum() < max(_FEWEST, _MISFIT * total):
            return ""
        return (
            f"{words}, expected {reading.words}; they look like fractions of the image, and the others do not: fix them"
        )
    fits = [_fit(numbers_M4, sizes_M2, Reading(order, 1)) for order in ORDERS]
    return f"{words}, expected {reading.words}; {_advice(_good(fits, _MISFIT), setting)}"


def _wrong(numbers_M4: Floats, sizes_M2: NDArray[np.integer], reading: Reading, setting: str | None) -> str:
    """What is wrong where too many boxes are inside out or outside their images."""
    bad_M = _misfits(reading.fractions(numbers_M4, sizes_M2), sizes_M2)
    count, total = int(bad_M.sum()), len(bad_M)
    if count < (max(_MISFIT * total, 2) if total >= _FEW else total):
        return ""
    misfit = count / total
    words = f"{count:,} of {total:,} boxes inside out or outside their images, expected {reading.words}"
    most = min(_MISFIT, misfit / _EXPLAINED)
    better = _fit(numbers_M4, sizes_M2, reading).badness - _MISFIT
    good = [fit for fit in _good(_others(numbers_M4, sizes_M2, reading), most) if fit.badness < better]
    # An order that any numbers fit, and squares larger than the images, explain too much to be believed of a few boxes.
    strict = {fit.reading.order for fit in good if fit.reading.side in (None, 1)} - {ANY_CORNERS}
    if strict:
        good = [fit for fit in good if fit.reading.order in strict]
    elif misfit < _HOPELESS:
        return ""
    good = [fit for fit in good if strict or fit.off <= _MIDDLE]
    if not good:
        return f"{words}; no other way to read them fits either: give boxes of these very images" if setting else ""
    return f"{words}; {_advice(good, setting)}"


def _crowded(numbers_M4: Floats, sizes_M2: NDArray[np.integer], reading: Reading, setting: str) -> str:
    """What is wrong where all boxes are inside their images, and yet in one corner."""
    off = _fit(numbers_M4, sizes_M2, reading).off
    if len(numbers_M4) < _FEW or reading.side is not None or off < _FROM_MIDDLE:
        return ""
    least = np.quantile(sizes_M2.min(axis=1), _MISFIT)  # what all images but a few have
    good = [
        fit
        for fit in _good(_others(numbers_M4, sizes_M2, reading), _MISFIT)
        if fit.inside and fit.off <= min(_MIDDLE, off - _FROM_MIDDLE) and fit.reading.side and fit.reading.side < least
        if Reading(fit.reading.order, 1).name
    ]
    if not good:
        return ""
    end = reading.corners(numbers_M4).max()
    return (
        f"all of {len(numbers_M4):,} boxes within {end:.0f} pixels of the top left corner of larger images;"
        f" {_advice(good, setting)}, or --{setting} {reading.name} if they are pixels"
    )


def _misfits(fractions_M4: Floats, sizes_M2: NDArray[np.integer]) -> Mask:
    slack_M2 = np.maximum(_SLACK, _SLACK_PIXELS / sizes_M2)
    starts_M2, ends_M2 = fractions_M4[:, :2], fractions_M4[:, 2:]
    wrong_M2 = (ends_M2 < starts_M2) | (starts_M2 < -slack_M2) | (ends_M2 > 1 + slack_M2)
    return np.asarray(wrong_M2.any(axis=1))


def _fit(numbers_M4: Floats, sizes_M2: NDArray[np.integer], reading: Reading) -> _Fit:
    fractions_M4 = reading.fractions(numbers_M4, sizes_M2)
    off = np.abs(np.clip(fractions_M4[:, :2] + fractions_M4[:, 2:], -1, 3).mean(axis=0) / 2 - 0.5).max()
    inside = float(np.quantile(fractions_M4, 0.99)) <= 1 + _SLACK
    return _Fit(reading, float(_misfits(fractions_M4, sizes_M2).mean()), float(off), inside)


def _others(numbers_M4: Floats, sizes_M2: NDArray[np.integer], reading: Reading) -> Iterator[_Fit]:
    """Of a sample, how well each other reading fits."""
    if len(numbers_M4) > _SAMPLE:
        rows = np.random.default_rng(0).choice(len(numbers_M4), _SAMPLE, replace=False)
        numbers_M4, sizes_M2 = numbers_M4[rows], sizes_M2[rows]
    for order in ORDERS:
        for side in (None, *_SIDES):
            if Reading(order, side) != reading:
                yield _fit(numbers_M4, sizes_M2, Reading(order, side))


def _is_square(reading: Reading) -> bool:
    return reading.side is not None and reading.side not in _NO_SQUARE


def _good(fits: Iterable[_Fit], most: float) -> list[_Fit]:
    """Those that fit all but a few boxes, best first."""
    return sorted((fit for fit in fits if fit.misfit <= most), key=lambda fit: fit.rank)


def _advice(good: list[_Fit], setting: str | None) -> str:
    """What boxes look like, and what to do."""
    if not good:
        return "give the boxes of these very images in that form"
    best = good[0].reading
    words = f"they look like {best.words}"
    if best.order == "yxyx" and best.side is None:
        words += ", or width and height of the images are swapped"
    if setting is None:
        return f"{words}: make the table again"
    if best.name is None:
        if _is_square(best):
            fractions = Reading(best.order, 1).name or "fractions"
            return f"{words} or so: divide them by the side that it was, and add --{setting} {fractions}"
        say_so = f", and add --{setting} {Reading('xyxy', best.side).name}" if best.side else ""
        return f"{words}: rewrite them as {ORDERS['xyxy']}{say_so}"
    advice = f"{words}: say so with --{setting} {best.name}"
    twin = next((fit for fit in good[1:] if fit.rank < good[0].rank + _SLACK and fit.reading.name), None)
    return f"{advice}, or {twin.reading.name} for {ORDERS[twin.reading.order]}" if twin else advice
