"""Looks at a stage before it is declared complete: is every part there with every row, and what do the rows lack?"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from psol_ray.errors import UserError, abbreviate
from psol_ray.stages import STAGES
from psol_ray.tables import StageDir

__all__ = ["check_parts", "read_whole", "unreadable_gaps"]


def check_parts(stage: StageDir, parts: Collection[str], hosts: Sequence[str] = ()) -> None:
    """Raise a UserError where a part is not there; `hosts` are other machines that have written some."""
    missing = stage.missing(parts)
    if missing:
        writers = f", though workers on {abbreviate(hosts)} have written parts" if hosts else ""
        raise UserError(
            f"{stage.name}: {len(missing):,} of {len(parts):,} parts ({abbreviate(missing)}) are not in"
            f" {stage.path} as this machine sees it{writers}; expected a run_dir that every machine shares:"
            " mount it there, or give another run_dir"
        )


def read_whole(
    stage: StageDir,
    schema: pa.Schema,
    columns: Sequence[str],
    expected: Mapping[str, pa.Table],
    hosts: Sequence[str] = (),
) -> pa.Table:
    """Some columns of all parts, `image_id` first.

    Args:
        stage: where they are.
        schema: of their table.
        columns: what to read.
        expected: the images of each part, by its name.
        hosts: other machines that have written some.

    Raises:
        UserError: a part is not there, or not every image has a row.
    """
    check_parts(stage, expected, hosts)
    table = stage.read_parts(schema, ["image_id", *columns])
    wanted = pa.chunked_array([ids for rows in expected.values() for ids in rows["image_id"].chunks], pa.string())
    lost = wanted.filter(pc.invert(pc.is_in(wanted, table["image_id"].combine_chunks())))
    if len(lost) or len(table) != len(wanted):
        raise UserError(
            f"{stage.name}: found {len(table):,} rows in {stage.path}, expected one for each of {len(wanted):,} images"
            f" ({abbreviate(lost.to_pylist()) or 'none'} without one); make it anew with"
            f" `psol {STAGES[stage.name].command} --overwrite`"
        )
    return table


def unreadable_gaps(
    stage: str, image_ids: pa.ChunkedArray, unreadable_N: NDArray[np.bool_], max_share: float
) -> list[str]:
    """A sentence where many images that the catalog has a size of turned out to be none, once they were decoded.

    Args:
        stage: whose rows.
        image_ids: of all its images.
        unreadable_N: which of them were read and could not be decoded, and have a size.
        max_share: how many may be, as a share.
    """
    if unreadable_N.sum() <= max_share * len(unreadable_N):
        return []
    names = image_ids.filter(pa.array(unreadable_N)).to_pylist()
    return [
        f"{stage}: {len(names):,} of {len(unreadable_N):,} images could be read and not be decoded"
        f" ({abbreviate(names)}), more than data.max_unreadable ({max_share:g}) allows; put whole files in their"
        f" place and run `psol {STAGES[stage].command} --overwrite`"
    ]
