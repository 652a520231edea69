"""Ids of images stay below the data root."""

import re
from pathlib import Path

import pyarrow as pa
import pytest

from psol_ray.errors import UserError
from psol_ray.tables.image_ids import check_listed_ids, leaves_root

INSIDE = ["a.jpg", "a/b c.jpg", "a/..b.jpg", "a/b../c.jpg", "./a.jpg", "...", "é/\\.jpg", "c:a.jpg", "~/a.jpg"]
OUTSIDE = ["", "/a.jpg", "../a.jpg", "a/../b.jpg", "a/..", "a//b.jpg", "a/", "a\0.jpg", "C:\\a.jpg", "c:/a", "a\\..\\b"]
OUTSIDE += ["\\\\host\\a.jpg", "s3://bucket/a.jpg"]


def test_which_ids_leave_the_root() -> None:
    assert leaves_root(pa.array(INSIDE)).tolist() == [False] * len(INSIDE)
    assert leaves_root(pa.chunked_array([OUTSIDE])).tolist() == [True] * len(OUTSIDE)


@pytest.mark.parametrize(
    ("image_ids", "complaint"),
    [
        (
            ["a.jpg", "../b.jpg", "/c.jpg"],
            "ids.txt: found 2 paths that are absolute or lead elsewhere ('../b.jpg', '/c.jpg')",
        ),
        (["a\\b.jpg"], "ids.txt: found 1 paths with \\ (a\\b.jpg), expected / between folders"),
    ],
)
def test_lists_of_such_ids_are_refused(image_ids: list[str], complaint: str) -> None:
    with pytest.raises(UserError, match=re.escape(complaint)):
        check_listed_ids(Path("ids.txt"), pa.array(image_ids))
    check_listed_ids(Path("ids.txt"), pa.array(["a.jpg", "a/b.jpg"]))
