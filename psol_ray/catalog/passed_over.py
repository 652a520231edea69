"""What a listing passes over, counted by the reason, and in words."""

from collections import Counter
from enum import Enum

from psol_ray.errors import abbreviate

__all__ = ["PassedOver", "Reason", "describe"]


class Reason(Enum):
    """Why something is no image of the data set, in the words of a count: `6 with other suffixes`."""

    SUFFIX = "with other suffixes"
    ARCHIVE = "archives that are not unpacked"
    HIDDEN = "hidden"
    LITTER = "left behind by other programs"
    NO_FILE = "pipes, sockets or devices"
    BROKEN_LINK = "links that lead nowhere"
    LINK = "links that are not followed"
    LOOP = "links to a folder that they lie in"
    TWICE = "links to folders that are read by another way"
    OUTSIDE = "images beside the splits' folders"
    UNSORTED = "images beside the class folders"
    FOLDER = "folders that are not read"
    BOX = "boxes of images in them"
    SHARD = "shards of a split that is not read"
    FILE = "annotation files of a split that is not read"
    ORPHAN = "annotations of images that are not there"
    CROWD = "boxes of crowds"
    SPLIT = "images of a split that is not read"
    UNLABELLED = "without a label"
    UNTRAINED = "test images of classes without training images"


PassedOver = Counter[tuple[Reason, str]]
"""How many there are of each reason and kind: a suffix, a name, or "" where neither says anything."""


def describe(passed_over: PassedOver) -> str:
    """`6 with other suffixes (.txt 4, .xml 2), 2 hidden`; empty where nothing was passed over."""
    parts = []
    for reason in Reason:
        kinds = sorted((-count, kind) for (why, kind), count in passed_over.items() if why is reason)
        if kinds:
            named = [f"{kind} {-count:,}" if count < -1 else kind for count, kind in kinds if kind]
            total = -sum(count for count, _ in kinds)
            parts.append(f"{total:,} {reason.value}" + (f" ({abbreviate(named)})" if named else ""))
    return ", ".join(parts)
