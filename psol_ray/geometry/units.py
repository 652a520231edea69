"""Whether a whole table of boxes is given as it is said to be, and how else it may be.

One box says little: `120 80 200 150` is a box as corners and as corner and size. A thousand do not fit a reading that
is not theirs. Of CUB's and ImageNet's boxes every wrong order puts a sixth or more outside their images or inside out,
and a unit too small crowds all of them into the top left corner.
"""

import numpy as np
from numpy.typing import NDArray

from psol_ray.errors import UserError
from psol_ray.geometry.coordinates import Coordinates
from psol_ray.geometry.fits import MIDDLE, OFF_MIDDLE, Fit, advice, find_misfits, fit_of, good_fits, in_unit, other_fits
from psol_ray.geometry.readings import ANY_CORNERS, Floats, Reading

__all__ = ["check_units"]

_ONE = 1.05  # as fractions, numbers are at most this
_SPECK = 0.05  # fractions that are all below this are no object, but a network that has collapsed
_FEW, _FEWEST = 8, 3  # boxes: of fewer than the first all must be wrong, of fewer than the second all be fractions
_MISFIT = 0.05  # share of the boxes that do not fit, where another reading explains them ...
_HOPELESS = 0.2  # ... or none
_EXPLAINED = 4  # how many times fewer boxes another reading leaves unexplained
# How much farther from the middle the mean of boxes in the wrong unit is, as a share of the side; of few, and of many.
_FROM_MIDDLE_OF_FEW, _FROM_MIDDLE = 0.25, 0.12


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
    reading = Reading.of(coordinates)
    enough = len(numbers_M4) >= _FEWEST
    # A network may well draw one box that is smaller than a pixel; a person does not.
    complaint = _small(numbers_M4, sizes_M2, reading, setting) if enough or (setting and len(numbers_M4)) else ""
    if not complaint and enough:
        complaint = _wrong(numbers_M4, sizes_M2, reading, setting)
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
    good = good_fits(in_unit(numbers_M4, sizes_M2, 1), _MISFIT, reading)
    return f"{words}, expected {reading.words}; {_advice(good, numbers_M4, reading, setting)}"


def _wrong(numbers_M4: Floats, sizes_M2: NDArray[np.integer], reading: Reading, setting: str | None) -> str:
    """What is wrong where too many boxes are inside out or outside their images."""
    bad_M = find_misfits(reading.fractions(numbers_M4, sizes_M2), sizes_M2)
    count, total = int(bad_M.sum()), len(bad_M)
    if count < (max(_MISFIT * total, 2) if total >= _FEW else total):
        return ""
    misfit = count / total
    words = f"{count:,} of {total:,} boxes inside out or outside their images, expected {reading.words}"
    most = min(_MISFIT, misfit / _EXPLAINED)
    better = fit_of(numbers_M4, sizes_M2, reading).badness - _MISFIT
    others = (fit for fit in other_fits(numbers_M4, sizes_M2, reading) if fit.badness < better)
    good = good_fits(others, most, reading)
    # An order that any numbers fit, and squares larger than the images, explain too much to be believed of a few boxes.
    strict = {fit.reading.order for fit in good if fit.reading.side in (None, 1)} - {ANY_CORNERS}
    if strict:
        good = [fit for fit in good if fit.reading.order in strict]
    elif misfit < _HOPELESS:
        return ""
    # In the file's own order another unit is likely enough, though objects are not quite in the middle.
    good = [fit for fit in good if strict or fit.off <= (OFF_MIDDLE if fit.reading.order == reading.order else MIDDLE)]
    if not good:
        return f"{words}; no other way to read them fits either: give boxes of these very images" if setting else ""
    return f"{words}; {_advice(good, numbers_M4, reading, setting)}"


def _crowded(numbers_M4: Floats, sizes_M2: NDArray[np.integer], reading: Reading, setting: str) -> str:
    """What is wrong where all boxes are inside their images, and yet in one corner."""
    fit, few = fit_of(numbers_M4, sizes_M2, reading), len(numbers_M4) < _FEW
    farther = _FROM_MIDDLE_OF_FEW if few else _FROM_MIDDLE
    if reading.side is not None or fit.off < farther:
        return ""
    least = np.quantile(sizes_M2.min(axis=1), _MISFIT)  # what all images but a few have
    likely = [
        other
        for other in good_fits(other_fits(numbers_M4, sizes_M2, reading), _MISFIT, reading)
        if other.inside and _crowds(other.reading, least, few)
    ]
    good = [other for other in likely if other.off <= min(MIDDLE, fit.off - farther) or _is_size(other, fit)] or [
        other for other in likely if other.reading.order == reading.order and _is_far_better(other, fit)
    ]
    if not good:
        return ""
    # Where one order is in the middle in this unit, the file's own may be right in it, too.
    own = [other for other in likely if other.reading == Reading(reading.order, good[0].reading.side)]
    end = reading.corners(numbers_M4).max()
    return (
        f"all of {len(numbers_M4):,} boxes within {end:.0f} pixels of the top left corner of larger images;"
        f" {_advice([*own, *(other for other in good if other not in own)], numbers_M4, reading, setting)},"
        f" or --{setting} {reading.name} if they are {reading.words}"
    )


def _is_size(other: Fit, fit: Fit) -> bool:
    """Whether the second corner may be a size, which it can be only where the middle of hardly any box is beyond that
    of its image.
    """
    return other.reading == Reading("xywh", None) and other.off <= min(2 * MIDDLE, fit.off - _MISFIT)


def _is_far_better(other: Fit, fit: Fit) -> bool:
    return other.reading.name is not None and other.off <= min(2 * MIDDLE, fit.off - _FROM_MIDDLE_OF_FEW)


def _crowds(reading: Reading, least: float, few: bool) -> bool:
    """Whether boxes that are so, and are read as corners in pixels, may all be in the top left corner."""
    if reading.side is None:
        return reading.order == "xywh" and not few
    return reading.side < least and Reading(reading.order, 1).name is not None


def _advice(good: list[Fit], numbers_M4: Floats, reading: Reading, setting: str | None) -> str:
    inside_out = reading.order == "xyxy" and bool((numbers_M4[:, 2:] < numbers_M4[:, :2]).all())
    return advice(good, setting, all_inside_out=inside_out)
