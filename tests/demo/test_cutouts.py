import cv2
import numpy as np
import pytest

from psol_ray.demo.cutouts import cut_out
from psol_ray.demo.outlines import OUTLINES, Outline

ALL = [pytest.param(o, id=f"{name}{i}") for name, outlines in OUTLINES.items() for i, o in enumerate(outlines)]


@pytest.mark.parametrize("outline", ALL)
def test_cutout_is_solid_with_a_soft_edge_and_a_clear_border(outline: Outline) -> None:
    alpha = cut_out(outline).alpha
    assert alpha.dtype == np.float32
    assert alpha.min() == 0
    assert alpha.max() == pytest.approx(1)
    border = np.concatenate([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]])
    assert border.max() < 0.02
    edge = ((alpha > 0.1) & (alpha < 0.9)).astype(np.uint8)
    assert 0 < edge.mean() < 0.25
    assert cv2.erode(edge, np.ones((6, 6), np.uint8)).sum() == 0, "an edge softer than a few pixels"


@pytest.mark.parametrize("outline", ALL)
def test_cutout_is_one_piece_that_fills_a_third_of_its_box(outline: Outline) -> None:
    mask = (cut_out(outline).alpha > 0.5).astype(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask)
    areas = sorted(stats[1:, cv2.CC_STAT_AREA])
    assert areas[-1] > 0.98 * sum(areas)
    _, _, width, height = cv2.boundingRect(mask)
    assert mask.sum() > width * height / 3


@pytest.mark.parametrize("outline", ALL)
def test_hull_holds_the_soft_edge(outline: Outline) -> None:
    cutout = cut_out(outline)
    rows, columns = np.nonzero(cutout.alpha > 0.05)
    assert cutout.hull.min(axis=0).tolist() == [columns.min(), rows.min()]
    assert cutout.hull.max(axis=0).tolist() == [columns.max(), rows.max()]


def test_colours_outside_the_object_are_its_own() -> None:
    flower = cut_out(OUTLINES["flower"][0])
    outside = flower.rgb[flower.alpha < 0.5].astype(int)
    assert (outside[:, 0] > outside[:, 2]).mean() > 0.99  # orange; the leaves behind it are blue and green


def test_cutout_is_the_same_each_time_whatever_opencv_drew_before() -> None:
    outline = OUTLINES["shuttle"][0]
    first = cut_out.__wrapped__(outline)
    cv2.setRNGSeed(1234)
    second = cut_out.__wrapped__(outline)
    assert first.rgb.tobytes() == second.rgb.tobytes()
    assert first.alpha.tobytes() == second.alpha.tobytes()


def test_holes_and_clip_are_cut_away() -> None:
    square = ((100.0, 100.0), (200.0, 100.0), (200.0, 200.0), (100.0, 200.0))
    hole = ((130.0, 130.0), (170.0, 130.0), (170.0, 170.0), (130.0, 170.0))
    whole = cut_out(Outline("china.jpg", square, refine="none"))
    holed = cut_out(Outline("china.jpg", square, refine="none", holes=(hole,)))
    clipped = cut_out(Outline("china.jpg", square, refine="none", clip=(0, 0, 640, 150)))
    assert whole.alpha.shape == holed.alpha.shape
    centre = whole.alpha.shape[0] // 2
    assert whole.alpha[centre, centre] == pytest.approx(1)
    assert holed.alpha[centre, centre] == 0
    assert whole.alpha.shape[0] - clipped.alpha.shape[0] == 51
