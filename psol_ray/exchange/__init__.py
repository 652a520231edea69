"""Boxes in the formats of others. Needs NumPy and Arrow only."""

from psol_ray.exchange.formats import FORMATS, write_csv, write_psol_json, write_wsol

__all__ = ["FORMATS", "write_csv", "write_psol_json", "write_wsol"]
