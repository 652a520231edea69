"""The columns of a CSV file that somebody wrote, and what to do about others than are expected."""

from collections import Counter
from collections.abc import Sequence

from psol_ray.errors import UserError, abbreviate
from psol_ray.storage.tree import DataPath

__all__ = ["CORNERS", "VOC_CORNERS", "check_columns"]

CORNERS = ("x0", "y0", "x1", "y1")
VOC_CORNERS = ("xmin", "ymin", "xmax", "ymax")
# What others call the columns of boxes, and the order of what they hold; "" is the corners'.
_OTHER_CORNERS = {
    VOC_CORNERS: "",
    ("x_min", "y_min", "x_max", "y_max"): "",
    ("left", "top", "right", "bottom"): "",
    ("x1", "y1", "x2", "y2"): "",
    ("x", "y", "w", "h"): "xywh",
    ("x", "y", "width", "height"): "xywh",
    ("left", "top", "width", "height"): "xywh",
    ("xmin", "ymin", "width", "height"): "xywh",
    ("cx", "cy", "w", "h"): "cxcywh",
    ("x_center", "y_center", "width", "height"): "cxcywh",
}
_SEPARATORS = {";": "semicolons", "\t": "tabs", " ": "blanks"}
_NUM_SHOWN, _LENGTH = 20, 100  # names, and characters of one: a file that is no CSV has one of megabytes
_NUM_NUMBERS = 4  # of a box, by which a line is none of names


def check_columns(path: DataPath, found: Sequence[str], expected: Sequence[str], setting: str) -> None:
    """Raise a UserError where a column is missing, or is there twice.

    Args:
        path: the file, for the message.
        found: the columns' names, without blanks around them.
        expected: those that it must have.
        setting: where the user says what is in columns of boxes.
    """
    counts = Counter(found)
    twice = [name for name in expected if counts[name] > 1]
    if twice:
        raise UserError(
            f"{path}, line 1: found {', '.join(twice)} more than once, expected each column once; remove or rename the"
            " others"
        )
    missing = [name for name in expected if name not in counts]
    if missing:
        raise UserError(
            f"{path}, line 1: found the columns {_shown(found) or '(none)'}, expected {', '.join(expected)};"
            f" {_advice(found, expected, missing, setting)}"
        )


def _shown(found: Sequence[str]) -> str:
    return abbreviate([name[:_LENGTH] for name in found], _NUM_SHOWN)


def _advice(found: Sequence[str], expected: Sequence[str], missing: Sequence[str], setting: str) -> str:
    if len(found) == 1:
        for separator, word in _SEPARATORS.items():
            if len(found[0].split(separator)) >= max(len(expected), 2):
                return f"it is separated by {word}: separate it by commas, and decimals by points"
    if sum(_is_number(word) for name in found for word in name.split()) >= _NUM_NUMBERS:
        return f"it seems to begin with a box: add a first line {','.join(expected)}"
    lower = [name.lower() for name in found]
    if all(name.lower() in lower for name in missing):
        theirs = [found[lower.index(name.lower())] for name in missing]
        return f"rename {', '.join(theirs)} to {', '.join(missing)}"
    for names, order in _OTHER_CORNERS.items():
        if set(names) <= set(lower) and set(CORNERS) <= set(expected):
            corners = ", ".join(found[lower.index(name)] for name in names)
            image_id = "" if "image_id" in found else ", add image_id"
            say_so = f", and say so with --{setting} pixels_{order} or fractions_{order}" if order else ""
            return f"name {corners} so, in this order{image_id}{say_so}"
    return f"add {', '.join(missing)}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
