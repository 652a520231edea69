"""What a run came to: a page for people who would rather look, and a table for the terminal."""

from psol_ray.report.page import render_page
from psol_ray.report.scores import score_table

__all__ = ["render_page", "score_table"]
