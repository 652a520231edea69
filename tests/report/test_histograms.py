"""How boxes are spread, on boxes whose spread is plain."""

import pytest

from psol_ray.report.gallery import view_split
from psol_ray.report.histograms import Histogram, histograms, places

from .conftest import NAN_BOX, Run


def made(run: Run) -> dict[tuple[str, str], Histogram]:
    views = {split: view_split(split, **run.tables()) for split in ("test", "train")}
    return {(histogram.quantity, histogram.whose): histogram for histogram in histograms(views, "DDT")}


def test_ious_and_areas_of_each_kind_of_box(run: Run) -> None:
    for name, pseudo in {"a": (0, 0, 16, 32), "b": (0, 0, 16, 32), "c": (0, 0, 32, 32), "d": NAN_BOX}.items():
        run.add(f"{name}.png", pseudo=pseudo, on_disk=False)
    found = made(run)
    iou = found["IoU with the ground truth", "DDT, test images"]
    assert iou.count == 3
    assert iou.shares[10] == pytest.approx(66.7)
    assert iou.heights[10] == 1
    assert iou.heights[19] == 0.5  # an IoU of 1 is in the last bin
    assert sum(iou.heights) == 1.5
    assert iou.summary.startswith("middle 0.50")
    area = found["Share of the image's area", "ground truth, test images"]
    assert (area.count, area.heights[10]) == (4, 1)
    assert ("IoU with the ground truth", "DDT, train images") not in found


def test_places_are_of_centres_in_the_image(run: Run) -> None:
    run.add("a.png", pseudo=(0, 0, 4, 4), localizer=(30, 14, 34, 18), gt=[(62, 30, 64, 32)], on_disk=False)
    found = {place.whose: place for place in places([view_split("test", **run.tables())], "DDT")}
    assert found["DDT"].depths[0][0] == 1
    assert found["localizer"].depths[4][4] == 1
    assert found["localizer"].summary == "100 % in the middle ninth of the image"
    assert found["ground truth"].depths[8][8] == 1
    assert found["ground truth"].summary.startswith("0 %")


def test_where_there_is_nothing_there_is_no_histogram(run: Run) -> None:
    assert made(run) == {}
    assert places([view_split("test", **run.tables())], "DDT") == []
