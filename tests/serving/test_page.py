"""The server's page in a real browser: a photo is chosen, and its box drawn."""

import asyncio
import io
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from serving.browser import Page, opened
from serving.servers import Server, picture

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="no chromium: apt-get install chromium")]

GREY = (128, 128, 128)


def look(server: Server, folder: Path, files: dict[str, bytes], *, phone: bool = False) -> tuple[list[str], list[str]]:
    """Captions of what was chosen, the last one first, and what the console was told. Screenshots lie in `folder`, and
    in the folder PSOL_SCREENSHOTS, if that is set."""
    for name, data in files.items():
        (folder / name).write_bytes(data)
    assert CHROMIUM is not None

    async def visit() -> tuple[list[str], list[str]]:
        size = {"width": 390, "height": 844} if phone else {"width": 1200, "height": 900}
        url = f"http://127.0.0.1:{server.port}/"
        async with opened(CHROMIUM, url, folder / "chromium", phone=phone, **size) as page:
            await page.choose("#file", *(folder / name for name in files))
            await page.wait_for(
                f"document.querySelectorAll('figcaption').length === {len(files)}"
                " && !document.body.innerText.includes('Looking')"
            )
            await _save(page, folder, "phone" if phone else "desktop")
            assert not await page.evaluate("document.documentElement.scrollWidth > innerWidth")
            await _cut_out(page, folder)
            captions = "[...document.querySelectorAll('figcaption')].map(each => each.innerText)"
            return await page.evaluate(captions), page.problems

    return asyncio.run(visit())


async def _save(page: Page, folder: Path, name: str) -> None:
    content = await page.picture()
    (folder / f"{name}.png").write_bytes(content)
    if wanted := os.environ.get("PSOL_SCREENSHOTS"):
        (Path(wanted) / f"serve-{name}.png").write_bytes(content)


async def _cut_out(page: Page, folder: Path) -> None:
    """The photo of the screenshot."""
    rectangle = await page.evaluate("JSON.stringify(document.querySelector('canvas')?.getBoundingClientRect() ?? null)")
    if found := json.loads(rectangle):
        edges = tuple(round(found[name]) for name in ("left", "top", "right", "bottom"))
        Image.open(io.BytesIO(await page.picture())).convert("RGB").crop(edges).save(folder / "canvas.png")


def drawn_box(path: Path) -> tuple[int, int, int, int]:
    """Of the blue lines in a picture, `(x0, y0, x1, y1)` in pixels."""
    pixels_HW3 = np.asarray(Image.open(path)).astype(int)
    blue_HW = (abs(pixels_HW3 - (0x16, 0x67, 0xC7)) < 12).all(2)
    columns, rows = np.flatnonzero(blue_HW.any(0)), np.flatnonzero(blue_HW.any(1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


@pytest.mark.parametrize("phone", [False, True])
def test_a_box_is_drawn_on_a_photo(alone: Server, tmp_path: Path, phone: bool) -> None:
    captions, problems = look(alone, tmp_path, {"grey.jpg": picture(320, 240, GREY)}, phone=phone)
    assert problems == []
    assert captions[0].startswith("Box 80, 60, 240, 180 in 320 \N{MULTIPLICATION SIGN} 240 pixels")
    assert "label 1" in captions[0]
    assert drawn_box(tmp_path / "canvas.png") == pytest.approx((80, 60, 240, 180), abs=4)


def test_a_photo_that_was_taken_sideways_is_shown_upright(alone: Server, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    captions, problems = look(alone, tmp_path, {"turned.jpg": picture(320, 240, GREY, exif=exif)})
    assert problems == []
    assert captions[0].startswith("Box 60, 80, 180, 240 in 240 \N{MULTIPLICATION SIGN} 320 pixels")
    assert drawn_box(tmp_path / "canvas.png") == pytest.approx((60, 80, 180, 240), abs=4)


def test_what_is_refused_is_told_as_text(alone: Server, tmp_path: Path) -> None:
    gif = io.BytesIO()
    Image.new("P", (60, 40)).save(gif, "GIF")
    files = {"<img src=x onerror=alert(1)>.jpg": b"<script>alert(1)</script>", "a.gif": gif.getvalue()}
    captions, problems = look(alone, tmp_path, files)
    assert any("<img src=x onerror=alert(1)>.jpg: found" in caption for caption in captions)
    assert any("a.gif: found a GIF, expected a photo" in caption for caption in captions)
    # Of its own accord a browser notes answers that are no success.
    assert all("415" in problem for problem in problems)
