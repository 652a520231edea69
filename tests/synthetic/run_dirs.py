"""Run directories whose stages are made of small tables, without the commands that make them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from psol_ray.tables import Provenance, RunDir


def write_stage(
    run_dir: Path, table: pa.Table, name: str, config: Mapping[str, Any] | None = None, **details: Any
) -> Provenance:
    """Write a complete stage of one part in place of what is there."""
    made_by = Provenance(name, config or {}, {}, details=details)
    stage = RunDir(str(run_dir)).stage(name)
    stage.begin(made_by, overwrite=True)
    stage.write_part("part-00000", table, made_by)
    stage.complete(made_by)
    return made_by
