"""What a run came to: a page for people who would rather look, tables for the terminal, and the paper's beside ours."""

from psol_ray.report.page import render_page
from psol_ray.report.paper_tables import RunRow, paper_tables
from psol_ray.report.scores import score_table

__all__ = ["RunRow", "paper_tables", "render_page", "score_table"]
