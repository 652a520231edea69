"""Which images the contact sheet has, and what it is told of them."""

import json

import pytest

from psol_ray.report import sheet
from psol_ray.report.gallery import SplitView, view_split
from psol_ray.report.sheet import as_script, choose, sheet_images

from .conftest import NAN_BOX, Run

GT = [(0, 0, 32, 32)]


def views(run: Run) -> list[SplitView]:
    return [view_split(split, **run.tables()) for split in ("test", "train")]


def names(run: Run, count: int) -> list[str]:
    return [view.images["image_id"][row].as_py() for view, row, _ in choose(views(run), count)]


@pytest.fixture
def mixed(run: Run) -> Run:
    """Twelve classes of four images: a bad one, a doubtful one, two good ones."""
    for label in range(12):
        for name, box, area in (("bad", (40, 0, 64, 32), 0.5), ("small", (0, 0, 32, 32), 0.01 + label / 1000)):
            run.add(f"{name}_{label:02}.png", label=label, pseudo=box, gt=GT, on_disk=False)
            run.boxes[-1]["area_fraction"] = area
        for number in range(2):
            run.add(f"good_{label:02}_{number}.png", label=label, gt=GT, split="train", on_disk=False)
            run.boxes[-1]["area_fraction"] = 0.5
    return run


def test_the_worst_and_the_most_doubtful_come_before_the_rest(mixed: Run) -> None:
    # Of four kinds of lists in turns: the pseudo boxes' IoU, doubt, the localizer's IoU, from all over.
    assert names(mixed, 48)[:2] == ["bad_00.png", "small_00.png"]
    chosen = names(mixed, 24)
    assert len(chosen) == len(set(chosen)) == 24
    assert sum(name.startswith("bad") for name in chosen) >= 6
    assert sum(name.startswith("small") for name in chosen) >= 6


def test_all_are_there_where_there_is_room_and_no_class_takes_it_all(mixed: Run) -> None:
    assert sorted(names(mixed, 99)) == sorted(row["image_id"] for row in mixed.catalog)
    for number in range(60):
        mixed.add(f"worst_{number}.png", label=3, pseudo=(63, 0, 64, 1), gt=GT, on_disk=False)
    chosen = names(mixed, 24)
    assert sum(name.startswith("worst") for name in chosen) < 12


def test_what_has_no_box_is_not_on_it(run: Run) -> None:
    run.add("none.png", pseudo=NAN_BOX, localizer=NAN_BOX)
    run.add("one.png", pseudo=NAN_BOX)
    assert names(run, 9) == ["one.png"]


def test_an_image_is_told_in_pixels_of_the_stored_one(run: Run) -> None:
    run.add("a.png", size=(640, 320), gt=[(0, 0, 320, 320)], pseudo=(0, 0, 160, 320), localizer=(0, 0, 300.126, 320))
    run.boxes[-1] |= {"sign_margin": 0.123456, "mean_heat": float("nan")}
    (image,) = sheet_images(choose(views(run)), str(run.data_root), {"a.png": "heat"})
    assert image["thumbnail"].startswith("data:image/jpeg;base64,")
    del image["thumbnail"]
    assert image == {
        "id": "a.png",
        "class": "class_0",
        "split": "test",
        "size": [640, 320],
        "status": "ok",
        "truth": [[0, 0, 320, 320]],
        "pseudo": [0, 0, 160, 320],
        "localizer": [0, 0, 300.13, 320],
        "pseudo_iou": 0.5,
        "localizer_iou": pytest.approx(0.9379),
        "pseudo_right": True,
        "localizer_right": True,
        "doubt": 0,
        "sign_margin": 0.1235,
        "explained_variance_ratio": None,
        "area_fraction": None,
        "mean_heat": None,
        "predicted": "class_0",
        "probability": 0.75,
        "class_right": True,
        "heat": "heat",
    }


def test_large_pictures_are_fewer(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        run.add(f"{number}.png")
    chosen = choose(views(run))
    whole = sheet_images(chosen, str(run.data_root), {})
    assert len(whole) == len(chosen) == 30
    monkeypatch.setattr(sheet, "MAX_BYTES", 10 * len(whole[0]["thumbnail"]))
    assert len(sheet_images(chosen, str(run.data_root), {})) == 10


@pytest.mark.parametrize("text", ["</script><script>alert(1)</script>", "<!--", "a\u2028b\u2029c", "&lt;", 'quo"te\\'])
def test_no_text_ends_a_script(text: str) -> None:
    written = as_script({"name": text})
    assert not set("<>&\u2028\u2029") & set(written)
    assert json.loads(written) == {"name": text}
