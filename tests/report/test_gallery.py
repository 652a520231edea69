"""Which pictures are chosen, and that they are given the right rows."""

import numpy as np
import pyarrow as pa
import pytest

from psol_ray.report.gallery import SplitView, evenly, failures, gains, per_class_rows, spread, view_split

from .conftest import NAN_BOX, Run

GT = [(0, 0, 10, 10)]


def view(run: Run, split: str = "test") -> SplitView:
    return view_split(split, **run.tables())


def ids(found: SplitView, rows: np.ndarray) -> list[str]:
    return found.images["image_id"].take(pa.array(rows)).to_pylist()


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, [0]), (2, [0, 9]), (4, [0, 3, 6, 9]), (10, list(range(10))), (99, list(range(10)))],
)
def test_evenly(count: int, expected: list[int]) -> None:
    assert evenly(np.arange(10), count).tolist() == expected


def test_tables_in_different_orders_are_aligned_and_gaps_are_nan(run: Run) -> None:
    run.add("a.png", gt=GT, pseudo=(0, 0, 10, 5), localizer=(0, 0, 10, 10), on_disk=False)
    run.add("b.png", gt=GT, pseudo=NAN_BOX, localizer=(0, 0, 10, 2), on_disk=False)
    run.add("c.png", gt=[], pseudo=(0, 0, 10, 5), localizer=(0, 0, 10, 5), on_disk=False)
    run.add("d.png", gt=GT, pseudo=NAN_BOX, localizer=NAN_BOX, on_disk=False)
    run.predictions.reverse()
    run.boxes.reverse()
    found = view(run)
    assert found.images["image_id"].to_pylist() == ["a.png", "b.png", "c.png", "d.png"]
    np.testing.assert_allclose(found.pseudo_iou_N, [0.5, np.nan, np.nan, np.nan])
    np.testing.assert_allclose(found.localizer_iou_N, [1.0, 0.2, np.nan, np.nan])
    np.testing.assert_array_equal(found.pseudo_N4[2], (0, 0, 10, 5))


def test_without_a_row_there_is_neither_a_box_nor_an_iou(run: Run) -> None:
    run.add("train.png", split="train", gt=GT, localizer=None, on_disk=False)
    run.add("test.png", gt=GT, pseudo=None, on_disk=False)
    train, test = view(run, "train"), view(run)
    assert np.isnan([*train.localizer_N4[0], *train.localizer_iou_N, *test.pseudo_N4[0], *test.pseudo_iou_N]).all()
    assert not np.isnan([*train.pseudo_iou_N, *test.localizer_iou_N]).any()


@pytest.mark.parametrize(
    ("rule", "expected"), [("at_least", ["c.png", "a.png"]), ("above", ["c.png", "a.png", "b.png"])]
)
def test_failures_are_wrong_by_the_run_s_rule_and_the_lowest_comes_first(
    run: Run, rule: str, expected: list[str]
) -> None:
    for name, height in (("a", 3), ("b", 5), ("c", 1), ("d", 10)):
        run.add(f"{name}.png", gt=GT, localizer=(0, 0, 10, height), on_disk=False)
    run.metrics["iou_rule"] = rule
    found = view(run)
    assert ids(found, failures(found)) == expected


def test_gains_are_positive_and_the_largest_comes_first(run: Run) -> None:
    for name, pseudo, localizer in (("same", 5, 5), ("less", 9, 5), ("more", 5, 6), ("much", 1, 9)):
        run.add(f"{name}.png", gt=GT, pseudo=(0, 0, 10, pseudo), localizer=(0, 0, 10, localizer), on_disk=False)
    found = view(run)
    assert ids(found, gains(found)) == ["much.png", "more.png"]


def test_a_class_of_nothing_but_unreadable_images_is_not_shown(run: Run) -> None:
    run.add("good.png", label=0, on_disk=False)
    run.add("bad.png", label=1, size=(0, 0), pseudo=NAN_BOX, localizer=NAN_BOX, on_disk=False)
    found = view(run)
    assert [ids(found, rows) for rows in per_class_rows(found)] == [["good.png"]]


def test_training_examples_reach_over_all_classes(run: Run) -> None:
    for label in range(24):
        run.add(
            f"{label:02}.png",
            label=label,
            split="train",
            pseudo=NAN_BOX if label == 23 else (0, 0, 9, 9),
            on_disk=False,
        )
    found = view(run, "train")
    shown = ids(found, spread(found))
    assert len(shown) == 12
    assert (shown[0], shown[-1]) == ("00.png", "22.png")
