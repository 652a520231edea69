"""Image ids are paths below the data root, and stay there: `..` would read, and write, anywhere on the machine."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.errors import UserError, abbreviate

__all__ = ["check_listed_ids", "leaves_root"]

# Absolute, here or on Windows; a step up; a name that is empty, as in a URI; a character that ends a path in C.
_LEAVES = r"^$|^[/\\]|^[A-Za-z]:[/\\]|(^|[/\\])\.\.([/\\]|$)|//|/$|\x00"
_SHOWN = 60  # characters of an id


def leaves_root(image_ids: pa.Array | pa.ChunkedArray) -> NDArray[np.bool_]:
    """Which ids are no path below a root. Links are not followed: whoever makes one means it."""
    return np.asarray(pc.match_substring_regex(image_ids, _LEAVES), bool)


def check_listed_ids(path: object, image_ids: pa.Array | pa.ChunkedArray) -> None:
    """Refuse ids of a list that somebody wrote.

    Args:
        path: the list, for the message.

    Raises:
        UserError: one is absolute, has `..` or an empty name in it, or the separators of Windows.
    """
    bad = image_ids.filter(pa.array(leaves_root(image_ids))).to_pylist()
    if bad:
        shown = abbreviate([repr(name[:_SHOWN]) for name in bad])
        raise UserError(
            f"{path}: found {len(bad)} paths that are absolute or lead elsewhere ({shown}), expected paths below the"
            " folder of images, without .. or empty names; cut off what is before them"
        )
    backslashed = image_ids.filter(pc.match_substring(image_ids, "\\")).to_pylist()
    if backslashed:
        shown = abbreviate([name[:_SHOWN] for name in backslashed])
        raise UserError(
            f"{path}: found {len(backslashed)} paths with \\ ({shown}), expected / between folders; replace it"
        )
