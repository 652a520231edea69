import re

import numpy as np
import pyarrow as pa
import pytest

from psol_ray.errors import UserError
from psol_ray.evaluation.scores import score_boxes
from psol_ray.exchange.found import Found, boxes_table, hash_boxes
from psol_ray.tables.schemas import BOXES, CATALOG, boxes_array

NAN = float("nan")
TRAIN, TEST = 0, 3  # first rows of a split; the last image of each cannot be read


def make_catalog() -> pa.Table:
    rows = [
        {
            "image_id": f"{split}/{name}.jpg",
            "label": label,
            "class_name": f"c{label}",
            "split": split,
            "width": 0 if name == "c" else 40,
            "height": 0 if name == "c" else 20,
            "gt_boxes": [],
        }
        for split in ("train", "test")
        for label, name in enumerate("abc")
    ]
    return pa.Table.from_pylist(rows, schema=CATALOG)


def found_of(*boxes: tuple[int, list[float]], nothing: tuple[int, ...] = ()) -> Found:
    rows_M = np.array([row for row, _ in boxes], np.int64)
    boxes_M4 = np.array([box for _, box in boxes], np.float64).reshape(-1, 4)
    return Found(rows_M, boxes_M4, ~np.isin(rows_M, nothing))


BOTH = [(TEST + 1, [0, 0, 40, 20]), (TEST, [4.0, 2, 24, 12])]


def test_a_split_without_a_box_is_left_out() -> None:
    table = boxes_table(make_catalog(), found_of(*BOTH, nothing=(TEST + 1,)), "there")
    assert table.schema.equals(BOXES)
    assert table["image_id"].to_pylist() == ["test/a.jpg", "test/b.jpg", "test/c.jpg"]
    assert table["label"].to_pylist() == [0, 1, 2]
    assert table["status"].to_pylist() == ["ok", "no_foreground", "unreadable"]
    assert repr(boxes_array(table).tolist()) == repr([[4.0, 2.0, 24.0, 12.0], [0.0, 0.0, 40.0, 20.0], [NAN] * 4])
    assert table["area_fraction"].to_pylist()[:2] == [0.25, 1]
    for name in ("mean_heat", "explained_variance_ratio", "sign_margin"):
        assert np.isnan(table[name].to_numpy()).all()
    assert len(score_boxes(make_catalog(), table).iou_N) == 3


def test_an_unreadable_image_stays_so_with_a_box() -> None:
    table = boxes_table(make_catalog(), found_of(*BOTH, (TEST + 2, [0, 0, 9, 9])), "there")
    assert table["status"].to_pylist() == ["ok", "ok", "unreadable"]
    assert np.isnan(boxes_array(table)[2]).all()


@pytest.mark.parametrize(
    ("box", "kept"),
    [([-0.4, 0, 40.5, 20.2], [0, 0, 40, 20]), ([0, 0, 39, 19], [0, 0, 39, 19]), ([7, 7, 7, 7], [7, 7, 7, 7])],
    ids=["rounded corners", "last pixel named", "without area"],
)
def test_boxes_that_are_taken(box: list[float], kept: list[float]) -> None:
    table = boxes_table(make_catalog(), found_of((TRAIN, box), (TRAIN + 1, [0, 0, 1, 1])), "there")
    assert boxes_array(table)[0].tolist() == kept


@pytest.mark.parametrize(
    ("boxes", "complaint"),
    [
        pytest.param([], "there: found no box, expected one for each of 6 images", id="none"),
        pytest.param([*BOTH, BOTH[0]], "there: 1 image (test/b.jpg) with more than one box; leave one", id="several"),
        pytest.param([(3, [0, 0, 1, 1])], "1 image (test/b.jpg) of 3 test images without a box; add", id="test"),
        pytest.param([*BOTH, (0, [0, 0, 1, 1])], "1 image (train/b.jpg) of 3 train images without", id="train"),
        pytest.param([*BOTH, (0, [0, 0, NAN, 1])], "1 image (train/a.jpg) with a box that is not finite", id="nan"),
        pytest.param([(3, [0, 0, 1, np.inf])], "1 image (test/a.jpg) with a box that is not finite", id="infinite"),
        pytest.param(
            [(3, [5, 0, 4, 9]), (4, [0, 9, 1, 8])], "2 images (test/a.jpg, test/b.jpg) with a box that is ins"
        ),
        pytest.param([(3, [0, 0, 40.6, 9])], "1 image (test/a.jpg) with a box that reaches outside", id="right"),
        pytest.param([(3, [0, 0, 9, 30])], "1 image (test/a.jpg) with a box that reaches outside", id="below"),
        pytest.param([(3, [-1, 0, 9, 9])], "1 image (test/a.jpg) with a box that reaches outside", id="left"),
    ],
)
def test_refusals(boxes: list[tuple[int, list[float]]], complaint: str) -> None:
    with pytest.raises(UserError, match=re.escape(complaint)):
        boxes_table(make_catalog(), found_of(*boxes), "there")


def test_the_hash_tells_boxes_apart() -> None:
    table = boxes_table(make_catalog(), found_of(*BOTH), "there")
    again = boxes_table(make_catalog(), found_of(*BOTH[::-1]), "elsewhere")
    assert hash_boxes(table) == hash_boxes(again)
    others = [
        boxes_table(make_catalog(), found_of(*BOTH, nothing=(TEST,)), "there"),
        boxes_table(make_catalog(), found_of(BOTH[0], (TEST, [4.0, 2, 24, 12.5])), "there"),
        table.slice(0, 2),
    ]
    assert len({hash_boxes(other) for other in [table, *others]}) == 4
