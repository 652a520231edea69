"""Boxes that were read become a boxes table, or are refused in one sentence."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from psol_ray.errors import UserError
from psol_ray.evaluation.checks import check_boxes
from psol_ray.formats.base import MatchedBoxes
from psol_ray.formats.matching import hash_boxes, read_boxes, source_path, to_boxes_table
from psol_ray.geometry.coordinates import Coordinates
from psol_ray.tables.schemas import BOXES, CATALOG, boxes_array

NAN = float("nan")
TRAIN, TEST = 0, 3  # first rows of a split; the last image of each cannot be read


def make_catalog() -> pa.Table:
    rows: list[dict[str, object]] = [
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


def matched_of(*boxes: tuple[int, list[float]], nothing: tuple[int, ...] = ()) -> MatchedBoxes:
    rows_M = np.array([row for row, _ in boxes], np.int64)
    boxes_M4 = np.array([box for _, box in boxes], np.float64).reshape(-1, 4)
    return MatchedBoxes(rows_M, boxes_M4, ~np.isin(rows_M, nothing))


BOTH: list[tuple[int, list[float]]] = [(TEST + 1, [0, 0, 40, 20]), (TEST, [4.0, 2, 24, 12])]


def test_a_split_without_a_box_is_left_out() -> None:
    table = to_boxes_table(make_catalog(), matched_of(*BOTH, nothing=(TEST + 1,)), "there")
    assert table.schema.equals(BOXES)
    assert table["image_id"].to_pylist() == ["test/a.jpg", "test/b.jpg", "test/c.jpg"]
    assert table["label"].to_pylist() == [0, 1, 2]
    assert table["status"].to_pylist() == ["ok", "no_foreground", "unreadable"]
    assert repr(boxes_array(table).tolist()) == repr([[4.0, 2.0, 24.0, 12.0], [0.0, 0.0, 40.0, 20.0], [NAN] * 4])
    assert table["area_fraction"].to_pylist()[:2] == [0.25, 1]
    for name in ("mean_heat", "explained_variance_ratio", "sign_margin"):
        assert np.isnan(table[name].to_numpy()).all()
    assert check_boxes(make_catalog(), table).tolist() == [TEST, TEST + 1, TEST + 2]


def test_an_unreadable_image_stays_so_with_a_box() -> None:
    table = to_boxes_table(make_catalog(), matched_of(*BOTH, (TEST + 2, [0, 0, 9, 9])), "there")
    assert table["status"].to_pylist() == ["ok", "ok", "unreadable"]
    assert np.isnan(boxes_array(table)[2]).all()


@pytest.mark.parametrize(
    ("box", "kept"),
    [([-1, 0, 41, 20.2], [0, 0, 40, 20]), ([0, 0, 39, 19], [0, 0, 39, 19]), ([7, 7, 7, 7], [7, 7, 7, 7])],
    ids=["counted from 1", "last pixel named", "without area"],
)
def test_boxes_that_are_taken(box: list[float], kept: list[float]) -> None:
    table = to_boxes_table(make_catalog(), matched_of((TRAIN, box), (TRAIN + 1, [0, 0, 1, 1])), "there")
    assert boxes_array(table)[0].tolist() == kept


@pytest.mark.parametrize(
    ("boxes", "complaint"),
    [
        pytest.param([], "there: found no box, expected one for each of 6 images", id="none"),
        pytest.param([*BOTH, BOTH[0]], "there: 1 image (test/b.jpg) with more than one box; leave one", id="several"),
        pytest.param(
            [(3, [0, 0, 1, 1])], "1 image (test/b.jpg) of 3 test images without a box; add them, list", id="test"
        ),
        pytest.param([*BOTH, (0, [0, 0, 1, 1])], "1 image (train/b.jpg) of 3 train images without", id="train"),
        pytest.param([*BOTH, (0, [0, 0, NAN, 1])], "1 image (train/a.jpg) with a box that is not finite", id="nan"),
        pytest.param([(3, [0, 0, 1, np.inf])], "1 image (test/a.jpg) with a box that is not finite", id="infinite"),
        pytest.param(
            [(3, [5, 0, 4, 9]), (4, [0, 9, 1, 8])], "2 images (test/a.jpg, test/b.jpg) with a box that is ins"
        ),
        pytest.param([(3, [0, 0, 41.1, 9])], "1 image (test/a.jpg) with a box that reaches outside", id="right"),
        pytest.param([(3, [0, 0, 9, 30])], "1 image (test/a.jpg) with a box that reaches outside", id="below"),
        pytest.param([(3, [-1.1, 0, 9, 9])], "1 image (test/a.jpg) with a box that reaches outside", id="left"),
    ],
)
def test_boxes_that_are_refused(boxes: list[tuple[int, list[float]]], complaint: str) -> None:
    with pytest.raises(UserError, match=re.escape(complaint)):
        to_boxes_table(make_catalog(), matched_of(*boxes), "there")


def test_every_box_is_an_object_where_the_format_does_not_say() -> None:
    matched = MatchedBoxes(np.array([TEST, TEST + 1]), np.array([[0, 0, 1, 1], [0, 0, 40, 20]], float))
    assert to_boxes_table(make_catalog(), matched, "there")["status"].to_pylist() == ["ok", "ok", "unreadable"]


def test_an_image_that_is_listed_as_unreadable_needs_no_box() -> None:
    table = to_boxes_table(make_catalog(), matched_of(BOTH[0]), "there", np.array([TEST, TEST + 2]))
    assert table["status"].to_pylist() == ["unreadable", "ok", "unreadable"]
    assert np.isnan(boxes_array(table)[0]).all()
    assert np.isnan(table["area_fraction"].to_numpy()[[0, 2]]).all()
    assert check_boxes(make_catalog(), table).tolist() == [TEST, TEST + 1, TEST + 2]


def test_a_split_of_which_no_image_can_be_read_is_kept() -> None:
    table = to_boxes_table(make_catalog(), matched_of(*BOTH), "there", np.array([TRAIN, TRAIN + 1]))
    assert table["status"].to_pylist() == ["unreadable"] * 3 + ["ok", "ok", "unreadable"]


def test_a_box_of_an_image_that_is_listed_as_unreadable_is_refused() -> None:
    with pytest.raises(UserError, match=r"there: 1 image \(test/b.jpg\) with a box and in unreadable.csv; remove"):
        to_boxes_table(make_catalog(), matched_of(*BOTH), "there", np.array([TEST + 1]))


@pytest.mark.parametrize(
    ("listed", "complaint"),
    [
        ("image_id\nx/z.jpg\n", "unreadable.csv: 1 image (x/z.jpg) not in the catalog"),
        ("image_id\nb.jpg\n", "unreadable.csv: 1 image (b.jpg) that may be any of several"),
        ("image\ntest/b.jpg\n", "unreadable.csv: found "),
        ("", "unreadable.csv: found Empty CSV file, expected CSV with a column image_id"),
    ],
)
def test_a_list_of_unreadable_images_that_is_refused(tmp_path: Path, listed: str, complaint: str) -> None:
    (tmp_path / "boxes.csv").write_text("image_id,x0,y0,x1,y1\ntest/a.jpg,0,0,1,1\n")
    (tmp_path / "unreadable.csv").write_text(listed)
    with pytest.raises(UserError, match=re.escape(complaint)) as refusal:
        read_boxes("csv", str(tmp_path), make_catalog())
    assert "\n" not in str(refusal.value)


def test_a_list_of_unreadable_images_may_begin_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "boxes.csv").write_text("image_id,x0,y0,x1,y1\ntest/a.jpg,0,0,1,1\n")
    (tmp_path / "unreadable.csv").write_text("note,image_id\n,/mnt/test/b.jpg\n")
    assert read_boxes("csv", str(tmp_path), make_catalog())["status"].to_pylist() == ["ok", "unreadable", "unreadable"]


@pytest.mark.parametrize("make_path", [lambda folder: f"{folder}/gone", lambda _: "s3://bucket/boxes"])
def test_what_is_not_a_folder_is_refused(tmp_path: Path, make_path: Callable[[Path], str]) -> None:
    with pytest.raises(UserError, match=r"boxes.imported.path: found no folder '.*' on this machine"):
        read_boxes("csv", make_path(tmp_path), make_catalog())
    with pytest.raises(UserError, match=r"some.setting: found no folder '.*' on this machine"):
        source_path("some.setting", make_path(tmp_path), "csv")
    assert source_path("some.setting", str(tmp_path), "csv") == tmp_path


def test_the_hash_tells_boxes_apart() -> None:
    table = to_boxes_table(make_catalog(), matched_of(*BOTH), "there")
    again = to_boxes_table(make_catalog(), matched_of(*BOTH[::-1]), "elsewhere")
    assert hash_boxes(table) == hash_boxes(again)
    others = [
        to_boxes_table(make_catalog(), matched_of(*BOTH, nothing=(TEST,)), "there"),
        to_boxes_table(make_catalog(), matched_of(BOTH[0], (TEST, [4.0, 2, 24, 12.5])), "there"),
        table.slice(0, 2),
    ]
    assert len({hash_boxes(other) for other in [table, *others]}) == 4


GIVEN: dict[Coordinates, list[float]] = {
    "pixels": [120, 60, 280, 160],
    "pixels_cxcywh": [200, 110, 160, 100],
    "fractions": [0.3, 0.3, 0.7, 0.8],
    "fractions_xywh": [0.3, 0.3, 0.4, 0.5],
    "fractions_cxcywh": [0.5, 0.55, 0.4, 0.5],
}


def write_boxes(folder: Path, name: str, box: list[float]) -> pa.Table:
    """The same box for all twelve images of a catalog, in this format."""
    row = make_catalog().slice(0, 1).to_pylist()[0]
    row |= {"width": 400, "height": 200}
    catalog = pa.Table.from_pylist([{**row, "image_id": f"{i}.jpg"} for i in range(12)], schema=CATALOG)
    if name == "csv":
        lines = [f"{i}.jpg,{','.join(map(str, box))}" for i in range(12)]
        (folder / "boxes.csv").write_text("\n".join(["image_id,x0,y0,x1,y1", *lines]))
    else:
        (folder / "c0_bbox.json").write_text(json.dumps({f"/mnt/{i}.jpg": box for i in range(12)}))
    return catalog


@pytest.mark.parametrize(("name", "own"), [("csv", "pixels"), ("psol_json", "fractions_xywh")])
@pytest.mark.parametrize("coordinates", GIVEN)
def test_boxes_in_another_form_are_refused_until_the_user_says_so(
    tmp_path: Path, name: str, own: Coordinates, coordinates: Coordinates
) -> None:
    catalog = write_boxes(tmp_path, name, GIVEN[coordinates])
    if coordinates != own:
        with pytest.raises(UserError, match=rf"found 12 of 12 .*--boxes.imported.coordinates .*\b{coordinates}\b"):
            read_boxes(name, str(tmp_path), catalog)
        table = read_boxes(name, str(tmp_path), catalog, coordinates=coordinates)
    else:
        table = read_boxes(name, str(tmp_path), catalog)
    np.testing.assert_allclose(boxes_array(table), [GIVEN["pixels"]] * 12, rtol=1e-6)


def test_score_maps_have_no_form_to_speak_of(tmp_path: Path) -> None:
    catalog = make_catalog()
    for image_id in catalog["image_id"].to_pylist():
        (tmp_path / image_id).parent.mkdir(exist_ok=True)
        np.save(tmp_path / f"{image_id}.npy", np.ones((4, 4), np.float32))
    assert len(read_boxes("wsol_maps", str(tmp_path), catalog)) == 6
    with pytest.raises(
        UserError, match=r"boxes.imported.coordinates: found pixels beside .* wsol_maps, .*leave it out"
    ):
        read_boxes("wsol_maps", str(tmp_path), catalog, coordinates="pixels")
