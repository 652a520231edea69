"""Scores in a run directory: there for one state of its tables."""

from pathlib import Path

import pytest
from synthetic.run_dirs import write_stage
from synthetic.tables import box_row, boxes_of, catalog_of, image, predictions_of

from psol_ray.errors import UserError
from psol_ray.evaluation import score_images
from psol_ray.evaluation.stage import read_scores, write_scores
from psol_ray.tables import RunDir

CATALOG = catalog_of(image("a", [(0, 0, 10, 10)]))
BOXES = boxes_of(box_row("a", (0, 0, 10, 10)))


def write_run(folder: Path) -> RunDir:
    write_stage(folder, CATALOG, "catalog")
    write_stage(folder, BOXES, "boxes")
    return RunDir(str(folder))


def test_scores_are_read_as_they_were_written(tmp_path: Path) -> None:
    run_dir, scores = write_run(tmp_path), score_images(CATALOG, BOXES, predictions_of())
    write_scores(run_dir, scores, {})
    assert read_scores(run_dir) == scores


def test_scores_of_other_settings_are_replaced_without_asking(tmp_path: Path) -> None:
    run_dir, scores = write_run(tmp_path), score_images(CATALOG, BOXES, predictions_of())
    write_scores(run_dir, scores, {"iou_rule": "at_least"})
    write_scores(run_dir, scores.slice(0, 0), {"iou_rule": "above"})
    assert len(read_scores(run_dir)) == 0
    assert run_dir.stage("scores").require().config == {"iou_rule": "above"}


def test_scores_of_the_same_settings_are_made_anew(tmp_path: Path) -> None:
    run_dir, scores = write_run(tmp_path), score_images(CATALOG, BOXES, predictions_of())
    write_scores(run_dir, scores.slice(0, 0), {})
    write_scores(run_dir, scores, {})
    assert read_scores(run_dir) == scores


def test_scores_of_other_tables_are_not_read(tmp_path: Path) -> None:
    run_dir = write_run(tmp_path)
    with pytest.raises(UserError, match=r"found no scores; run `psol evaluate` first$"):
        read_scores(run_dir)
    write_scores(run_dir, score_images(CATALOG, BOXES, predictions_of()), {})
    write_stage(tmp_path, BOXES, "boxes", {"upsample": "nearest"})
    with pytest.raises(UserError, match=r"found scores of other boxes than those in .*; run `psol evaluate` again$"):
        read_scores(run_dir)
    write_stage(tmp_path, predictions_of(), "predictions")
    with pytest.raises(UserError, match="found scores of other boxes and predictions than those in "):
        read_scores(run_dir)
