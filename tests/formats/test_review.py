"""What was said of boxes on a run's page, as boxes of another run."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from psol_ray.errors import UserError
from psol_ray.formats.matching import read_boxes
from psol_ray.tables import Provenance, RunDir
from psol_ray.tables.boxes_table import boxes_table
from psol_ray.tables.schemas import boxes_array

from .synthetic import CATALOG_3, NAN_BOX, catalog_of

MADE_BY = Provenance("boxes", {"method": "ddt"}, {})
CORNERS = [[1.0, 1.0, 5.0, 5.0], [2.0, 2.0, 8.0, 6.0], [0.0, 0.0, 4.0, 4.0]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run directory with boxes of three images, the last of which could not be read."""
    images = CATALOG_3.sort_by("image_id")
    boxes_N4 = np.array([*CORNERS[:2], NAN_BOX])
    status = np.array(["ok", "no_foreground", "unreadable"], object)
    table = boxes_table(images, boxes_N4, status, mean_heat=2.0, sign_margin=0.7, area_fraction=0.1)
    stage = RunDir(str(tmp_path)).stage("boxes")
    stage.begin(MADE_BY, overwrite=False)
    stage.write_part("part-0", table, MADE_BY)
    stage.complete(MADE_BY)
    return tmp_path


def review(folder: Path, *images: dict[str, Any], **changes: Any) -> None:
    content = {"format": "psol_ray review 1", "boxes": MADE_BY.fingerprint, "images": list(images)} | changes
    (folder / "review.json").write_text(json.dumps(content))


def said(name: str, verdict: str, *box: float) -> dict[str, Any]:
    return {"image_id": f"{name}.jpg", "verdict": verdict} | ({"box": list(box)} if box else {})


def read(folder: Path) -> dict[str, dict[str, Any]]:
    table = read_boxes("review", str(folder), CATALOG_3)
    return {row["image_id"]: row for row in table.to_pylist()}


def test_what_is_not_mentioned_and_what_is_accepted_stays_with_all_that_was_measured(folder: Path) -> None:
    review(folder, said("a", "accepted", 0, 0, 9, 9))
    table = read_boxes("review", str(folder), CATALOG_3).sort_by("image_id")
    np.testing.assert_array_equal(boxes_array(table), np.array([*CORNERS[:2], NAN_BOX]))
    assert table["status"].to_pylist() == ["ok", "no_foreground", "unreadable"]
    assert table["mean_heat"].to_pylist() == [2.0] * 3


def test_a_corrected_box_takes_the_place_of_the_runs(folder: Path) -> None:
    review(folder, said("b", "corrected", 1, 1, 3, 3.5))
    row = read(folder)["b.jpg"]
    assert [row[name] for name in ("x0", "y0", "x1", "y1")] == [1, 1, 3, 3.5]
    assert row["status"] == "ok"
    width, height = row["width"], row["height"]
    assert row["area_fraction"] == pytest.approx(5 / (width * height))
    assert np.isnan(row["mean_heat"])
    assert row["sign_margin"] == pytest.approx(0.7)


def test_a_rejected_box_is_none_and_says_so(folder: Path) -> None:
    review(folder, said("a", "rejected"))
    rows = read(folder)
    assert rows["a.jpg"]["status"] == "rejected"
    assert np.isnan(rows["a.jpg"]["x0"])
    assert rows["b.jpg"]["status"] == "no_foreground"


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ([said("z", "accepted")], "1 image (z.jpg) without a box in"),
        ([said("a", "accepted"), said("a", "rejected")], "1 image (a.jpg) more than once"),
        ([said("a", "liked")], "found a.jpg neither accepted nor rejected nor corrected"),
        ([said("a", "corrected", 1, 2, 3)], "found a.jpg corrected without a box of four numbers"),
        ([said("a", "corrected", 5, 1, 3, 3)], "1 image (a.jpg) with a box that is inside out"),
        ([said("a", "corrected", 1, 1, 3, 300)], "1 image (a.jpg) with a box that reaches outside"),
        ([{"verdict": "accepted"}], "found no image_id in entry 1"),
        ([], "found no images"),
    ],
)
def test_what_a_review_cannot_say(folder: Path, images: list[dict[str, Any]], message: str) -> None:
    review(folder, *images)
    with pytest.raises(UserError, match=re.escape(message)):
        read(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"boxes": "0123"}, f"found a review of boxes 0123, expected one of {MADE_BY.fingerprint}"),
        ({"format": "another"}, "found no review"),
    ],
)
def test_a_review_of_other_boxes_or_no_review(folder: Path, changes: dict[str, Any], message: str) -> None:
    review(folder, said("a", "accepted"), **changes)
    with pytest.raises(UserError, match=re.escape(message)):
        read(folder)


def test_boxes_of_other_images_are_told(folder: Path) -> None:
    review(folder, said("a", "accepted"))
    others = catalog_of(*[(name, 0, "cat", 99, 10) for name in CATALOG_3["image_id"].to_pylist()])
    with pytest.raises(UserError, match="of another size in the catalog"):
        read_boxes("review", str(folder), others)


def test_boxes_are_in_pixels_whatever_is_said(folder: Path) -> None:
    review(folder, said("a", "accepted"))
    with pytest.raises(UserError, match="whose boxes are in pixels"):
        read_boxes("review", str(folder), CATALOG_3, coordinates="fractions")
