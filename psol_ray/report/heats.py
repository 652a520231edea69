"""Maps of heat for the page's script, which draws them over images: signed bytes, above 0 where object is."""

import base64
from typing import Any

import numpy as np
import pyarrow as pa

__all__ = ["heat_records", "map_records"]

_HIGHEST = 127


def heat_records(rows: pa.Table) -> dict[str, dict[str, Any]]:
    """Records by image id of rows of schema `HEAT`, as far as there is heat."""
    known = (row for row in rows.to_pylist() if row["values"])
    return {row["image_id"]: _record(row, np.frombuffer(row["values"], np.int8)) for row in known}


def map_records(rows: pa.Table, threshold: float) -> dict[str, dict[str, Any]]:
    """Records by image id of rows of schema `MAPS`: what is above the threshold, from 0 to 1, is above 0."""
    records = {}
    for row in rows.to_pylist():
        if row["values"]:
            values = np.array(row["values"], np.float64) - threshold
            values *= _HIGHEST / max(np.abs(values).max(), 1e-9)
            records[row["image_id"]] = _record(row, np.rint(values).astype(np.int8))
    return records


def _record(row: dict[str, Any], values: np.ndarray) -> dict[str, Any]:
    return {
        "height": row["height"],
        "width": row["width"],
        "values": base64.b64encode(values.tobytes()).decode(),
    }
