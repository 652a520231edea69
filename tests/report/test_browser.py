"""The page in a headless Chromium: what its script does, and what is there without it."""

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from psol_ray.formats.review import read
from psol_ray.tables import Provenance, RunDir
from psol_ray.tables.schemas import NO_FOREGROUND

from .browser import CHROMIUM, Browser
from .conftest import NAN_BOX, Run

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

SCRIPT = "<script>alert(1)</script>"
MADE_BY = Provenance("boxes", {"method": "ddt"}, {})
# Of an image of 64 by 32 whose object is its left half.
BOXES = {"bad": (40, 0, 64, 32), "half": (0, 0, 16, 32), "good": (0, 0, 32, 32)}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Three test images of a class with an ugly name, three of another, training images, and one that is none."""
    run = Run(tmp_path_factory.mktemp("run"))
    for label, name in enumerate((SCRIPT, "dog")):
        for quality, box in BOXES.items():
            run.add(f"{name[1:4]}_{quality}.png", label=label, class_name=name, pseudo=box, localizer=(0, 0, 30, 32))
            run.boxes[-1] |= {"area_fraction": (box[2] - box[0]) / 64, "sign_margin": 0.9, "mean_heat": 2.0}
        for number in range(40):
            run.add(f"train_{label}_{number}.png", label=label, class_name=name, split="train", gt=[])
            run.boxes[-1] |= {"area_fraction": 0.5 + number / 100, "sign_margin": 0.9}
    run.add("nothing.png", label=1, class_name="dog", pseudo=(0, 0, 64, 32), localizer=(0, 0, 30, 32))
    run.boxes[-1]["status"] = NO_FOREGROUND
    run.add("broken.png", label=1, class_name="dog", size=(0, 0), pseudo=NAN_BOX, localizer=NAN_BOX, on_disk=False)
    run.made_by = {"boxes": json.loads(MADE_BY.to_json())}
    return run


@pytest.fixture(scope="module")
def page(run: Run) -> Path:
    path = run.data_root / "index.html"
    path.write_text(run.html(title=SCRIPT), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.close()


@pytest.fixture
def browser(chromium: Browser, page: Path) -> Iterator[Browser]:
    """The page, as if for the first time; nothing in it may go wrong."""
    chromium.open(page)
    chromium.js("localStorage.clear()")
    chromium.open(page)
    chromium.errors.clear()
    chromium.requests.clear()
    yield chromium
    assert chromium.errors == []
    assert [url for url in chromium.requests if not url.startswith(("data:", "file:", "blob:"))] == []


def choose(browser: Browser, **values: str) -> None:
    for name, value in values.items():
        browser.js(f"document.getElementById('controls').elements.{name}.value = {json.dumps(value)}")
    browser.js("document.getElementById('controls').dispatchEvent(new Event('input', {bubbles: true}))")


def shown(browser: Browser) -> list[str]:
    return browser.js("[...document.querySelectorAll('.card')].map((card) => card.title)")


def focus_card(browser: Browser, place: int = 0) -> None:
    browser.js(f"document.querySelectorAll('.card')[{place}].focus()")


def focused(browser: Browser) -> str:
    return browser.js("document.activeElement.title")


def in_viewer(browser: Browser) -> str | None:
    return browser.js("viewer.open ? document.querySelector('#viewer dd').textContent : null")


def test_names_are_text(browser: Browser) -> None:
    assert browser.js("document.querySelector('h1').textContent") == SCRIPT
    choose(browser, **{"class": SCRIPT, "split": "test"})
    assert browser.js("document.querySelector('.card .name').textContent") == SCRIPT
    assert SCRIPT in browser.js("[...document.querySelectorAll('select option')].map((option) => option.textContent)")
    assert browser.js("document.scripts.length") == 2


def test_the_worst_comes_first_and_a_screenful_at_a_time(browser: Browser) -> None:
    names = shown(browser)
    assert len(names) == 60
    assert {names[0], names[1]} == {"scr_bad.png", "og_bad.png"}
    assert names[-1].startswith("train_")  # what has no IoU comes last
    browser.js("document.getElementById('more').click()")
    assert len(shown(browser)) == 87
    assert browser.js("document.getElementById('more').hidden")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"class": SCRIPT}, ["scr_bad.png", "scr_half.png", "scr_good.png"]),
        ({"iou": "0.5"}, ["og_bad.png", "scr_bad.png", "nothing.png", "og_half.png", "scr_half.png"]),
        ({"iou": "0.45"}, ["og_bad.png", "scr_bad.png"]),
        ({"doubt": "0.95"}, ["nothing.png"]),
        ({"status": "no_foreground"}, ["nothing.png"]),
        ({"status": "pseudo_wrong"}, ["og_bad.png", "scr_bad.png"]),
        ({"status": "ok", "class": "dog", "sort": "area_fraction"}, ["og_half.png", "og_bad.png", "og_good.png"]),
        ({"sort": "doubt", "class": "dog"}, ["nothing.png", "og_half.png", "og_bad.png", "og_good.png"]),
    ],
)
def test_filters_and_orders(browser: Browser, values: dict[str, str], expected: list[str]) -> None:
    choose(browser, split="test", **values)
    assert shown(browser) == expected
    count = browser.js("document.getElementById('controls').elements.count.textContent")
    assert count == f"{len(expected)} of 87 images"


def test_arrows_move_over_the_sheet_and_through_the_viewer(browser: Browser) -> None:
    choose(browser, split="test", sort="class")
    names = shown(browser)
    focus_card(browser)
    browser.press("ArrowRight")
    assert focused(browser) == names[1]
    browser.press("ArrowLeft")
    tops = browser.js("[...document.querySelectorAll('.card')].map((card) => card.offsetTop)")
    columns = tops.count(tops[0])
    browser.press("ArrowDown")
    assert focused(browser) == names[columns]
    browser.press("Enter")
    assert in_viewer(browser) == names[columns]
    browser.press("ArrowLeft")
    browser.press("ArrowLeft")
    assert in_viewer(browser) == names[columns - 2]
    browser.press("j")
    assert in_viewer(browser) == names[columns - 1]
    browser.press("Escape")
    assert in_viewer(browser) is None
    browser.wait_for(f"document.activeElement.title === '{names[columns - 1]}'")


def test_a_review_is_downloaded_and_imported(browser: Browser, run: Run, tmp_path: Path) -> None:
    choose(browser, split="test", sort="class")
    names = shown(browser)
    focus_card(browser)
    browser.press("a")
    browser.press("ArrowRight")
    browser.press("r")
    browser.press("ArrowRight")
    browser.press("e")
    browser.press("ArrowRight")  # by a hundredth of the longer side: 0.64 pixels
    browser.press("ArrowDown", shift=True)
    browser.press("Enter")
    browser.press("ArrowRight")
    browser.press("r")
    browser.press("u")
    browser.press("Escape")
    assert browser.js("document.getElementById('reviewed').textContent") == "1 accepted, 1 rejected, 1 corrected"
    choose(browser, review="rejected")
    assert shown(browser) == [names[1]]

    stage = RunDir(str(tmp_path)).stage("boxes")
    tables = run.tables()
    stage.begin(MADE_BY, overwrite=False)
    stage.write_part("part-0", tables["boxes"], MADE_BY)
    stage.complete(MADE_BY)
    browser.js("document.querySelector('[data-action=download]').click()")
    download = browser.downloads / "review.json"
    deadline = time.monotonic() + 30
    while not download.exists():
        assert time.monotonic() < deadline, list(browser.downloads.iterdir())
        time.sleep(0.05)
    download.rename(tmp_path / "review.json")

    def boxes(table: pa.Table) -> dict[str, tuple]:
        columns = ("x0", "y0", "x1", "y1", "status")
        return {row["image_id"]: tuple(row[name] for name in columns) for row in table.to_pylist()}

    before, after = boxes(tables["boxes"]), boxes(read(tmp_path, tables["catalog"], 0.5))
    changed = {name for name in before if repr(before[name]) != repr(after[name])}
    assert changed == {names[1], names[2]}
    assert repr(after[names[1]]) == "(nan, nan, nan, nan, 'rejected')"
    x0, y0, x1, y1, _ = before[names[2]]
    # The lower border is the image's, and has nowhere to go.
    assert after[names[2]] == (pytest.approx(x0 + 0.64), y0, pytest.approx(x1 + 0.64), y1 == 32 and 32, "ok")


def test_a_review_is_there_again_when_the_page_is_opened_again(browser: Browser, page: Path) -> None:
    focus_card(browser)
    browser.press("r")
    browser.open(page)
    assert browser.js("document.getElementById('reviewed').textContent") == "1 rejected"
    browser.js("document.querySelector('[data-action=undo]').click()")  # of an earlier visit nothing can be undone
    assert browser.js("document.getElementById('reviewed').textContent") == "1 rejected"


def test_a_corner_is_drawn_to_its_place(browser: Browser) -> None:
    choose(browser, split="test", **{"class": "dog"}, sort="class")
    place = shown(browser).index("og_half.png")
    focus_card(browser, place)
    browser.press("e")
    area = browser.js(
        "(({left, top, width, height}) => [left, top, width, height])"
        "(document.querySelector('#viewer svg').getBoundingClientRect())"
    )
    left, top, width, height = area
    browser.drag((left + width * 16 / 64, top + height), (left + width * 48 / 64, top + height / 2))
    browser.press("Enter")
    corners = browser.js("[...document.querySelectorAll('#viewer dd')].map((dd) => dd.textContent)")[3]
    assert [float(text) for text in corners.split(", ")] == pytest.approx([0, 0, 48, 16], abs=0.3)


def test_on_a_phone_nothing_is_wider_than_the_window(browser: Browser, page: Path) -> None:
    browser.open(page, width=390, height=844)
    assert browser.js("document.documentElement.scrollWidth") <= 390
    focus_card(browser)
    browser.press("Enter")
    assert browser.js("document.getElementById('viewer').getBoundingClientRect().width") <= 390


def test_without_a_script_the_first_images_are_there(tmp_path: Path, page: Path) -> None:
    browser = Browser(tmp_path, script=False)
    try:
        browser.open(page)
        assert browser.js("document.querySelectorAll('#sheet figure').length") == 12
        assert browser.js("document.getElementById('controls').offsetHeight") == 0
        assert browser.js("document.querySelectorAll('#gallery figure img').length") > 0
        assert browser.js("document.getElementById('viewer').offsetHeight") == 0
    finally:
        browser.close()


def test_heat_is_drawn_above_zero_up_to_where_it_crosses_it(chromium: Browser, run: Run) -> None:
    """A row of two cells, of 127 and -127: the middle of the picture is where it crosses zero."""
    path = run.data_root / "heat.html"
    values = base64.b64encode(np.array([127, -127], np.int8).tobytes()).decode()
    heat = {"height": 1, "width": 2, "values": values}
    path.write_text(run.html(heats=lambda ids: dict.fromkeys(ids, heat)), encoding="utf-8")
    chromium.open(path)
    focus_card(chromium)
    chromium.press("h")
    red = chromium.js(
        "(() => { const canvas = document.querySelector('#viewer canvas');"
        " const row = canvas.getContext('2d').getImageData(0, 0, canvas.width, 1).data;"
        " return [...row].filter((_, at) => at % 4 === 0); })()"
    )
    assert red == [255] * 16 + [0] * 16
    chromium.press("h")
    assert chromium.js("document.querySelector('#viewer canvas')") is None
    assert chromium.errors == []
