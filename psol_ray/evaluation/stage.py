"""The `scores` stage: written anew by each `psol evaluate`, and read while it fits the tables beside it."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from psol_ray.errors import UserError
from psol_ray.tables.provenance import Provenance
from psol_ray.tables.run_dir import RunDir
from psol_ray.tables.schemas import SCORES

__all__ = ["read_scores", "write_scores"]

_INPUTS = ("catalog", "boxes", "predictions")


def write_scores(run_dir: RunDir, scores: pa.Table, settings: Mapping[str, Any]) -> None:
    """Write the scores in place of those that are there, of whatever settings: they take seconds to make.

    Args:
        run_dir: whose tables were scored.
        scores: a table of schema `SCORES`.
        settings: all that it depends on beside the tables.
    """
    stage, made_by = run_dir.stage("scores"), Provenance("scores", settings, _fingerprints(run_dir))
    stage.begin(made_by, overwrite=True)
    stage.write_part("part-00000", scores, made_by)
    stage.complete(made_by, {"images": len(scores)})


def read_scores(run_dir: RunDir) -> pa.Table:
    """Read the scores of a run.

    Returns:
        A table of schema `SCORES`.

    Raises:
        UserError: there are none, or the tables beside them are others by now.
    """
    stage = run_dir.stage("scores")
    made_by = stage.made_by()
    if made_by is None:
        raise UserError(f"{stage.address}: found no scores; run `psol evaluate` first")
    current = _fingerprints(run_dir)
    changed = [name for name in _INPUTS if made_by.inputs.get(name) != current.get(name)]
    if changed:
        raise UserError(
            f"{stage.address}: found scores of other {' and '.join(changed)} than those in {run_dir.address};"
            " run `psol evaluate` again"
        )
    return stage.read(SCORES)


def _fingerprints(run_dir: RunDir) -> dict[str, str]:
    made_by = {name: run_dir.stage(name).made_by() for name in _INPUTS}
    # The ground truth is no part of the catalog's fingerprint, because nothing but scores is made of it.
    return {
        name: " ".join(filter(None, (provenance.fingerprint, provenance.details.get("truth"))))
        for name, provenance in made_by.items()
        if provenance is not None
    }
