"""Classes whose boxes are to be looked at first, by what their generator measured of the whole class."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from psol_ray.evaluation.quality import LEAST_SHARE
from psol_ray.tables.schemas import NO_FOREGROUND

__all__ = ["Suspect", "suspects"]

_MOST_WITHOUT_FOREGROUND = 0.1


@dataclass(frozen=True)
class Suspect:
    """A class, what was measured of it, and what is suspicious about that."""

    class_name: str
    images: int
    sign_margin: float
    explained_variance: float
    without_foreground: float  # share of its images
    reasons: list[str]


def suspects(boxes: pa.Table, catalog: pa.Table) -> list[Suspect]:
    """List the classes whose sign margin or explained variance is suspicious, the most suspicious first.

    Args:
        boxes: schema `BOXES`; without sign margins there is nobody to suspect.
        catalog: names of its classes.
    """
    columns = {
        "label": boxes["label"],
        "margin": boxes["sign_margin"],
        "variance": boxes["explained_variance_ratio"],
        "without": pc.equal(boxes["status"], NO_FOREGROUND).cast(pa.float64()),
    }
    # Of an image that could not be read nothing was measured that counts for its class.
    measured = pa.table(columns).filter(pc.is_finite(pc.fill_null(columns["margin"], np.nan)))
    if not len(measured):
        return []
    means = [("margin", "mean"), ("variance", "mean"), ("without", "mean"), ("label", "count")]
    rows = measured.group_by("label").aggregate(means).to_pylist()
    usual_margin, usual_variance = (_middle([row[f"{name}_mean"] for row in rows]) for name in ("margin", "variance"))
    known = catalog.group_by(["label", "class_name"]).aggregate([]).to_pylist()
    names = {row["label"]: row["class_name"] for row in known}
    found = []
    for row in rows:
        margin, without = row["margin_mean"], row["without_mean"]
        variance = np.nan if row["variance_mean"] is None else row["variance_mean"]
        reasons = [
            *(["sign decided less than half as clearly as others"] if margin < LEAST_SHARE * usual_margin else []),
            *(["explains less than half of what others do"] if variance < LEAST_SHARE * usual_variance else []),
            *(["often no foreground"] if without > _MOST_WITHOUT_FOREGROUND else []),
        ]
        if reasons:
            found.append(Suspect(names[row["label"]], row["label_count"], margin, variance, without, reasons))
    return sorted(found, key=lambda suspect: (suspect.sign_margin, suspect.explained_variance, suspect.class_name))


def _middle(values: list[float | None]) -> float:
    """Their median; NaN where none was measured."""
    known = np.array(values, float)
    return float(np.nanmedian(known)) if np.isfinite(known).any() else np.nan
