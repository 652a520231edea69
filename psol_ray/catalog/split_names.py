"""What people call the splits of a data set, as folders and in the names of files, in lower case."""

import re
from collections.abc import Iterable
from itertools import chain

from psol_ray.tables.schemas import TEST, TRAIN

__all__ = ["HELD_OUT", "TRAINING", "names_split", "splits_of"]

TRAINING = ("train", "training")
HELD_OUT = (("val", "valid", "validation"), ("test", "testing"))
"""The first of these that is there is the test split. Where there is more, `test` is left for after all choices are
made: the run looks at the split it is given while it trains."""

_WORD = re.compile(r"[a-z]+")
_ALL = frozenset(chain(TRAINING, *HELD_OUT))


def names_split(name: str) -> bool:
    """Whether a split's name is among the words of a folder's or a file's, as in `train2017`."""
    return not _ALL.isdisjoint(_WORD.findall(name.lower()))


def splits_of(names: Iterable[str]) -> dict[str, str]:
    """The split of each file or folder that is read, by the words of its path; where none says train, all that is not
    held out is that.
    """
    words = {name: set(_WORD.findall(name.lower())) for name in names}
    held_out = next((some for some in HELD_OUT if any(each.intersection(some) for each in words.values())), ())
    splits = {}
    for name, found in words.items():
        if found.intersection(TRAINING):
            splits[name] = TRAIN
        elif found.intersection(held_out):
            splits[name] = TEST
    if TRAIN not in splits.values():
        splits |= {name: TRAIN for name, found in words.items() if not found & _ALL}
    return splits
