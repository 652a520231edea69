"""The tables that stages read and write, and the directory that holds them."""

from psol_ray.tables.files import read_file
from psol_ray.tables.provenance import Provenance
from psol_ray.tables.run_dir import RunDir, StageDir
from psol_ray.tables.schemas import BOXES, CATALOG, MAPS, PREDICTIONS

__all__ = ["BOXES", "CATALOG", "MAPS", "PREDICTIONS", "Provenance", "RunDir", "StageDir", "read_file"]
