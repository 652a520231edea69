"""Sizes of images as files of text say them, compared with the images' own.

Boxes are in pixels of an image of the size that is said. Where the image has another, they are of another image: the
one before it was resized, or turned. Shape suffixes: N images, 2 = (width, height).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.catalog.headers import read_sizes
from psol_ray.catalog.listing import SIDES, Listing
from psol_ray.errors import UserError
from psol_ray.tables.boxes_table import image_sizes

__all__ = ["check_annotated_sizes", "check_listed_sizes"]

# ImageNet's own XML is wrong about a few images in ten thousand, which is no reason to do without the others. Images
# that were resized are all wrong.
_MOST, _FEW = 0.01, 3
_ROUNDING = 1.0  # pixels by which a side may be off that was computed

Sizes = NDArray[np.int64]


def check_listed_sizes(root: str, listed: pa.Table, metadata: str) -> None:
    """Raise a UserError where images of a listing that says sizes have others; those that are away are left out.

    Args:
        root: the folder that image ids are relative to.
        listed: some rows, schema `CATALOG`.
        metadata: the folder of the file that says them, for the message.
    """
    image_ids, said_N2 = listed.column("image_id").to_pylist(), image_sizes(listed)
    real_N2 = read_sizes(root, image_ids).astype(np.int64)
    other_N = (real_N2 > 0).all(axis=1) & (real_N2 != said_N2).any(axis=1)
    if other_N.any():
        found, cause = _differences(image_ids, said_N2, real_N2, other_N), _cause(said_N2[other_N], real_N2[other_N])
        raise UserError(
            f"{metadata}, image_sizes.txt: {found} of {len(image_ids)} that were looked at, expected the sizes of these"
            f" very images; {cause}: use the images that the metadata are of, or correct image_sizes.txt, and"
            " localization.txt where its boxes are of those sizes, too"
        )


def check_annotated_sizes(catalog: pa.Table, listing: Listing) -> Listing:
    """The listing, with a remark where annotations say other sizes of a few images than these have.

    Args:
        catalog: schema `CATALOG`.
        listing: what it is made of.

    Raises:
        UserError: they do so of more than a few.
    """
    if listing.annotated_sizes is None:
        return listing
    rows = pc.index_in(listing.annotated_sizes["image_id"], value_set=catalog.column("image_id").combine_chunks())
    listed, rows = listing.annotated_sizes.filter(pc.is_valid(rows)), rows.drop_null()
    image_ids, said_N2 = listed["image_id"], image_sizes(listed)
    real_N2 = image_sizes(catalog.select(SIDES).take(rows))
    known_N = (said_N2 > 0).all(axis=1) & (real_N2 > 0).all(axis=1)
    other_N = known_N & (said_N2 != real_N2).any(axis=1)
    count, total = int(other_N.sum()), int(known_N.sum())
    if not count:
        return listing
    words = f"{_differences(image_ids, said_N2, real_N2, other_N)} of {total:,}"
    if count < total and (count < _FEW or count <= _MOST * total):
        return replace(listing, remarks=[*listing.remarks, f"annotations: {words}"])
    raise UserError(
        f"{listing.annotations[-1]}: {words}, expected the sizes of these very images;"
        f" {_cause(said_N2[other_N], real_N2[other_N])}: use the images that were annotated, or annotations of these"
    )


def _differences(image_ids: Sequence[Any], said_N2: Sizes, real_N2: Sizes, other_N: NDArray[np.bool_]) -> str:
    """`found sizes that are not the images' for 12 (a.jpg 128 x 96 and not 64 x 48)`."""
    shown = []
    for row in np.flatnonzero(other_N)[:2]:
        (said_width, said_height), (width, height) = said_N2[row], real_N2[row]
        shown.append(f"{image_ids[row]} {width} x {height} and not {said_width} x {said_height}")
    return f"found sizes that are not the images' for {other_N.sum():,} ({', '.join(shown)})"


def _cause(said_N2: Sizes, real_N2: Sizes) -> str:
    """What seems to have happened to images of these sizes."""
    if (said_N2 == real_N2[:, ::-1]).all():
        return "width and height are swapped, or the images were turned"
    in_proportion_N = np.abs(real_N2[:, 0] * said_N2[:, 1] / said_N2[:, 0] - real_N2[:, 1]) <= _ROUNDING
    if in_proportion_N.all() or len(np.unique(real_N2, axis=0)) == 1 < len(np.unique(said_N2, axis=0)):
        return "the images seem to have been resized"
    return "they seem to be of other images, or of images that were cropped or resized"
