"""The threshold sweep on maps drawn by hand."""

import numpy as np
import pyarrow as pa
import pytest
from synthetic.tables import catalog_of, image

from psol_ray.errors import UserError
from psol_ray.evaluation.sweep import THRESHOLDS, sweep
from psol_ray.tables.schemas import MAPS

SIDE = 224  # a map of this size is not resized


def maps_of(**maps: np.ndarray | None) -> pa.Table:
    rows = [
        {
            "image_id": name,
            "height": 0 if values is None else values.shape[0],
            "width": 0 if values is None else values.shape[1],
            "values": [] if values is None else values.astype(np.float16).ravel().tolist(),
        }
        for name, values in maps.items()
    ]
    return pa.Table.from_pylist(rows, schema=MAPS)


def blocks(*blocks: tuple[float, int, int, int, int]) -> np.ndarray:
    """A map of zeros with rectangles `(value, x0, y0, x1, y1)`, later ones above earlier ones."""
    map_hw = np.zeros((SIDE, SIDE))
    for value, x0, y0, x1, y1 in blocks:
        map_hw[y0:y1, x0:x1] = value
    return map_hw


def test_the_best_threshold_is_found() -> None:
    # From 0 on the box is 100 wide, from 0.5 on 50; the true box is the inner one.
    map_hw = blocks((0.5, 0, 0, 100, 100), (1, 0, 0, 50, 50))
    found = sweep(catalog_of(image("a", [(0, 0, 50, 50)], width=SIDE, height=SIDE)), maps_of(a=map_hw))
    assert found["thresholds"] == THRESHOLDS.tolist()
    assert (found["thresholds"][0], found["thresholds"][-1], len(found["thresholds"])) == (0, 1, 101)
    # 0.5 is level 127 of 255, and int(0.5 * 255) is 127, too: not above it.
    assert found["gt_known"] == [0.0] * 50 + [1.0] * 50 + [0.0]
    assert (found["max_box_acc"], found["best_threshold"], found["images"]) == (1.0, 0.5, 1)
    assert found["max_box_acc_v2"] == 1.0


def test_boxes_are_half_open_and_in_pixels_of_the_original() -> None:
    map_hw = blocks((1, 56, 112, 112, 168))
    # 400 x 100 pixels, of which the block is columns 100 to 200 and rows 50 to 75; IoU is 0.5 only if nothing is off.
    exactly_half = [(100, 50, 200, 100)]
    a_little_less = [(100, 50, 200, 100.01)]
    for gt, expected in ((exactly_half, 1.0), (a_little_less, 0.0)):
        assert sweep(catalog_of(image("a", gt, width=400, height=100)), maps_of(a=map_hw))["max_box_acc"] == expected


def test_v1_takes_the_largest_contour_and_v2_whichever_fits() -> None:
    map_hw = blocks((1, 0, 0, 100, 100), (1, 150, 150, 170, 170))
    found = sweep(catalog_of(image("a", [(150, 150, 170, 170)], width=SIDE, height=SIDE)), maps_of(a=map_hw))
    assert (found["max_box_acc"], found["max_box_acc_v2"]) == (0.0, 1.0)


def test_v2_counts_the_contours_of_holes_too() -> None:
    ring = blocks((1, 0, 0, 100, 100), (0, 40, 40, 60, 60))
    # A hole's contour runs on the pixels around it.
    found = sweep(catalog_of(image("a", [(39, 39, 61, 61)], width=SIDE, height=SIDE)), maps_of(a=ring))
    assert (found["max_box_acc"], found["max_box_acc_v2"]) == (0.0, 1.0)


def test_v2_takes_the_best_threshold_at_each_iou_apart() -> None:
    map_hw = blocks((0.4, 0, 0, 100, 100), (1, 0, 0, 40, 40))
    # The box of 100 x 100 at low thresholds has an IoU of 0.64 with two truths and 0.16 with the third, that of
    # 40 x 40 at high ones 0.25 and 1.
    sides = {"a": 80, "b": 80, "c": 40}
    catalog = catalog_of(*(image(i, [(0, 0, side, side)], width=SIDE, height=SIDE) for i, side in sides.items()))
    found = sweep(catalog, maps_of(**dict.fromkeys(sides, map_hw)))
    # At 0.3 and 0.5 low ones are right of two of three, at 0.7 only high ones of one.
    assert found["max_box_acc_v2"] == pytest.approx((2 / 3 + 2 / 3 + 1 / 3) / 3)
    assert (found["max_box_acc"], found["best_threshold"]) == (pytest.approx(2 / 3), 0.0)
    assert found["gt_known"][90] == pytest.approx(1 / 3)


def test_the_best_of_several_true_boxes_counts() -> None:
    map_hw = blocks((1, 0, 0, 50, 50))
    gt = [(100, 100, 200, 200), (0, 0, 50, 60), (0, 0, 5, 5)]
    assert sweep(catalog_of(image("a", gt, width=SIDE, height=SIDE)), maps_of(a=map_hw))["max_box_acc"] == 1.0


def test_unreadable_and_flat_count_as_wrong_and_images_without_truth_do_not_count() -> None:
    good, gt = blocks((1, 0, 0, 50, 50)), [(0, 0, 50, 50)]
    names = {"good": gt, "unreadable": gt, "flat": gt, "unknown": [], "other": []}
    catalog = catalog_of(*(image(name, boxes, width=SIDE, height=SIDE) for name, boxes in names.items()))
    # The maps come in another order than the catalog.
    maps = maps_of(unknown=np.eye(3), unreadable=None, flat=np.full((3, 3), 0.0), other=None, good=good)
    found = sweep(catalog, maps)
    assert found["images"] == 3
    assert (found["max_box_acc"], found["max_box_acc_v2"]) == (pytest.approx(1 / 3), pytest.approx(1 / 3))


def test_without_ground_truth_nothing_is_known() -> None:
    found = sweep(catalog_of(image("a", width=SIDE, height=SIDE)), maps_of(a=np.eye(3)))
    assert (found["max_box_acc"], found["best_threshold"], found["max_box_acc_v2"], found["images"]) == (None,) * 3 + (
        0,
    )
    assert found["gt_known"] == [None] * 101


def test_small_maps_are_enlarged_by_cubic_interpolation() -> None:
    # The one high cell of 4 x 4 is centred at 84 of 224, and cubic interpolation falls to 0 a cell of 56 beside it.
    map_hw = np.zeros((4, 4))
    map_hw[1, 1] = 1
    found = sweep(catalog_of(image("a", [(28, 28, 140, 140)], width=SIDE, height=SIDE)), maps_of(a=map_hw))
    assert found["max_box_acc"] == 1.0
    # Stretching comes after it: what swings below zero is the lowest, and so the threshold 0 takes more than the hill.
    assert found["gt_known"][0] == 0.0
    (rising,) = np.flatnonzero(np.diff(found["gt_known"]) > 0)
    assert 0 < THRESHOLDS[rising] < 0.2


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (["a", "stranger"], "maps: 1 image .stranger. not in the catalog"),
        ([], "maps of test: 1 image .a. of 1 missing"),
    ],
)
def test_maps_of_other_images_are_refused(names: list[str], complaint: str) -> None:
    with pytest.raises(UserError, match=complaint):
        sweep(catalog_of(image("a", [(0, 0, 1, 1)])), maps_of(**dict.fromkeys(names)))


def test_intervals_are_of_what_each_resample_finds_best() -> None:
    """Half of the images need a low threshold, half a high one: 0.5 at either; a resample takes its better one."""
    map_hw = blocks((0.4, 0, 0, 100, 100), (1, 0, 0, 40, 40))
    names = [str(i) for i in range(100)]
    gt = {name: [(0, 0, 100, 100) if int(name) % 2 else (0, 0, 40, 40)] for name in names}
    catalog = catalog_of(*(image(name, gt[name], width=SIDE, height=SIDE) for name in names))
    found = sweep(catalog, maps_of(**dict.fromkeys(names, map_hw)))
    assert found["max_box_acc"] == 0.5
    for key in ("max_box_acc", "max_box_acc_v2"):
        first, last = found["intervals"][key]
        # No resample's better half is below a half; the share's standard error is 0.05, of its larger part's excess.
        assert 0.5 <= first < 0.51
        assert last == pytest.approx(0.5 + 2.24 * 0.05, abs=0.015)


def test_all_right_is_certain_and_nothing_known_has_no_interval() -> None:
    map_hw = blocks((1, 0, 0, 50, 50))
    right = sweep(catalog_of(image("a", [(0, 0, 50, 50)], width=SIDE, height=SIDE)), maps_of(a=map_hw))
    assert right["intervals"] == {"max_box_acc": [1.0, 1.0], "max_box_acc_v2": [1.0, 1.0]}
    unknown = sweep(catalog_of(image("a", width=SIDE, height=SIDE)), maps_of(a=map_hw))
    assert unknown["intervals"] == {"max_box_acc": None, "max_box_acc_v2": None}
