"""Names that differ only in Unicode's form: `é` as one character (NFC), or as `e` and an accent (NFD)."""

import os
import unicodedata
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from psol_ray.errors import UserError, abbreviate
from psol_ray.work.threads import map_waiting

__all__ = ["check_one_form", "composed", "stored_paths"]

_AT_ONCE = 256


def composed(names: pa.Array) -> pa.Array:
    """Names in the one form (NFC) in which they are compared."""
    # Nearly all names are ASCII, which has one form; 1.28 million of them are looked at in milliseconds.
    return names if pc.all(pc.string_is_ascii(names)).as_py() is not False else pc.utf8_normalize(names, form="NFC")


def check_one_form(where: object, names: pa.Array) -> None:
    """Refuse names that look the same and are not.

    Raises:
        UserError: two differ only in Unicode's form.
    """
    if composed(names) is names:
        return
    names = pc.unique(names)
    counts = pc.value_counts(composed(names))
    twice = counts.filter(pc.greater(counts.field("counts"), 1)).field("values")
    if len(twice):
        alike = names.filter(pc.equal(composed(names), twice[0])).to_pylist()
        raise UserError(
            f"{where}: found {len(alike)} names that look like {alike[0]!r} and differ only in Unicode's form"
            f" ({' / '.join(map(_code_points, alike))}), expected each name once; rename or remove all but one"
        )


def _code_points(name: str) -> str:
    """`caf U+00E9` of `café`: what does not show which characters it is made of, by their numbers."""
    return "".join(character if character.isascii() else f" U+{ord(character):04X} " for character in name).strip()


def stored_paths(root: str, paths: pa.Array) -> pa.Array:
    """The paths in the form in which their files are stored below `root`; unchanged where there is no such file.

    Raises:
        UserError: a path may mean either of two files.
    """
    other_N = ~np.asarray(pc.string_is_ascii(paths), bool)
    if not other_N.any():
        return paths
    names = paths.to_pylist()
    rows = np.flatnonzero(other_N)
    chunks = [rows[start : start + _AT_ONCE].tolist() for start in range(0, len(rows), _AT_ONCE)]
    stored = map_waiting(lambda chunk: [_stored(root, names[i]) for i in chunk], chunks)
    for i, name in zip(rows, chain.from_iterable(stored), strict=True):
        names[i] = name
    return pa.array(names, pa.string())


def _stored(root: str, path: str) -> str:
    if os.path.lexists(f"{root}/{path}"):
        return path
    stored = ""
    for name in path.split("/"):
        forms = dict.fromkeys((name, unicodedata.normalize("NFC", name), unicodedata.normalize("NFD", name)))
        there = [form for form in forms if os.path.lexists(f"{root}/{stored}{form}")]
        if len(there) > 1 and there[0] != name:
            raise UserError(
                f"{root}: found {abbreviate(list(map(_code_points, there)))} for {path!r}, which differ only in"
                " Unicode's form; rename or remove all but one"
            )
        if not there:
            return path
        stored += f"{there[0]}/"
    return stored.removesuffix("/")
