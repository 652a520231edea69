"""A CSV file with other columns than are expected is told what to do about it."""

import re
from pathlib import Path

import pytest

from psol_ray.catalog.csv_columns import check_columns
from psol_ray.errors import UserError

BOXES = ("image_id", "x0", "y0", "x1", "y1")
PATH = Path("boxes.csv")


def test_columns_may_be_more_and_in_any_order() -> None:
    check_columns(PATH, ["y1", "note", "x0", "image_id", "x1", "y0", "note"], BOXES, "data.coordinates")


@pytest.mark.parametrize(
    ("found", "advice"),
    [
        (["image_id;x0;y0;x1;y1"], "it is separated by semicolons: separate it by commas, and decimals by points"),
        (["image_id\tx0\ty0\tx1\ty1"], "it is separated by tabs: separate it by commas, and decimals by points"),
        (["image_id x0 y0 x1 y1"], "it is separated by blanks: separate it by commas, and decimals by points"),
        (["a.jpg;1;2;3;4"], "it is separated by semicolons: separate it by commas, and decimals by points"),
        (["a.jpg", "1.5", "2", "3", "4"], "it seems to begin with a box: add a first line image_id,x0,y0,x1,y1"),
        (["Image_ID", "X0", "y0", "x1", "y1"], "rename Image_ID, X0 to image_id, x0"),
        (["Image_ID", "X0", "y0", "x1"], "add image_id, x0, y1"),
        (["image_id", "x1", "y1", "x2", "y2"], "name x1, y1, x2, y2 so, in this order"),
    ],
)
def test_what_to_do_is_said(found: list[str], advice: str) -> None:
    complaint = f"boxes.csv, line 1: found the columns {', '.join(found)}, expected {', '.join(BOXES)}; {advice}"
    with pytest.raises(UserError, match=f"^{re.escape(complaint)}$"):
        check_columns(PATH, found, BOXES, "data.coordinates")


def test_kaggles_columns_without_a_header() -> None:
    with pytest.raises(UserError, match=r"begin with a box: add a first line ImageId,PredictionString$"):
        check_columns(PATH, ["v1", "n01 1 2 3 4"], ("ImageId", "PredictionString"), "data.coordinates")


def test_a_column_that_is_there_twice_is_refused() -> None:
    with pytest.raises(UserError, match="found x0 more than once, expected each column once; remove or rename the oth"):
        check_columns(PATH, ["image_id", "x0", "y0", "x1", "y1", "x0"], BOXES, "data.coordinates")


def test_what_is_no_csv_is_not_shown_whole() -> None:
    with pytest.raises(
        UserError, match=r"line 1: found the columns \{{100}, (a, ){18}a and 980 more, expected image_id"
    ):
        check_columns(PATH, ["{" * 9_000, *["a"] * 999], BOXES, "data.coordinates")
