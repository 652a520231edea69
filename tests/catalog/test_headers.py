import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from synthetic.zoo import huge_png

from psol_ray.catalog.headers import AWAY, read_sizes
from psol_ray.errors import UserError

from .trees import save, touch, write

ROTATED = 6  # EXIF: shown a quarter turn clockwise
_ORIENTATION = 0x0112


def size_of(path: Path) -> tuple[int, ...]:
    sizes_N2 = read_sizes(str(path.parent), [path.name])
    assert sizes_N2.dtype == np.int32
    assert sizes_N2.shape == (1, 2)
    return tuple(sizes_N2[0])


def rotated() -> Image.Exif:
    exif = Image.Exif()
    exif[_ORIENTATION] = ROTATED
    return exif


@pytest.mark.parametrize(
    ("name", "mode", "options"),
    [
        ("rgb.jpg", "RGB", {}),
        ("grey.jpg", "L", {}),
        ("cmyk.JPEG", "CMYK", {"format": "JPEG"}),
        ("png_in_disguise.JPEG", "RGBA", {"format": "PNG"}),
        ("jpeg_in_disguise.png", "RGB", {"format": "JPEG"}),
        ("palette.gif", "P", {}),
        ("plain.bmp", "RGB", {}),
        ("plain.webp", "RGB", {}),
        ("deep.tif", "I;16", {}),
    ],
)
def test_width_and_height_whatever_the_name(tmp_path: Path, name: str, mode: str, options: dict[str, str]) -> None:
    assert size_of(save(tmp_path / name, (30, 20), mode, **options)) == (30, 20)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
def test_the_stored_size_of_a_rotated_image(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / name, (30, 20), exif=rotated())
    with Image.open(path) as image:
        assert image.getexif()[_ORIENTATION] == ROTATED
    assert size_of(path) == (30, 20)


def test_unreadable_files_have_no_size_and_stop_nothing(tmp_path: Path) -> None:
    jpeg = save(tmp_path / "whole.jpg", (30, 20)).read_bytes()
    touch(tmp_path, "empty.jpg")
    write(tmp_path / "text.jpg", "404: not found")
    (tmp_path / "cut.jpg").write_bytes(jpeg[: jpeg.index(b"\xff\xc0") + 4])
    (tmp_path / "cut.png").write_bytes(save(tmp_path / "whole.png", (30, 20)).read_bytes()[:20])
    (tmp_path / "folder.jpg").mkdir()
    os.mkfifo(tmp_path / "pipe.jpg")  # which nobody writes into
    bad = ["empty.jpg", "text.jpg", "cut.jpg", "cut.png", "folder.jpg", "pipe.jpg"]
    sizes_N2 = read_sizes(str(tmp_path), ["whole.jpg", *bad, "whole.png"])
    assert sizes_N2.tolist() == [[30, 20], *([[0, 0]] * len(bad)), [30, 20]]


def test_a_file_that_cannot_be_opened_is_away_and_says_nothing_of_its_image(tmp_path: Path) -> None:
    save(tmp_path / "whole.jpg", (30, 20))
    (tmp_path / "broken.jpg").symlink_to("gone.jpg")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    (tmp_path / "no_driver.jpg").symlink_to("/proc/self/mem")  # regular, and reading its beginning fails: EIO
    names = ["missing.jpg", "broken.jpg", "loop.jpg", "whole.jpg/1.jpg", "no_driver.jpg"]
    sizes_N2 = read_sizes(str(tmp_path), [*names, "whole.jpg"])
    assert sizes_N2.tolist() == [*([list(AWAY)] * len(names)), [30, 20]]


def test_a_header_that_leads_nowhere_is_no_image_rather_than_away(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jp2", (30, 20))
    path.write_bytes(path.read_bytes().replace(b" \0\0\0-jp2h", b"\0\0\0\0h"))
    with pytest.raises(OSError, match="Invalid argument"):  # which seeking raises, and no file that cannot be read
        Image.open(path)
    assert size_of(path) == (0, 0)


@pytest.mark.parametrize("name", ["a.gif", "a.tif", "a.webp"])
def test_of_several_pictures_the_first_has_the_size(tmp_path: Path, name: str) -> None:
    first = Image.new("RGB", (30, 20))
    first.save(tmp_path / name, save_all=True, append_images=[Image.new("RGB", (30, 20), "red")])
    if name == "a.tif":
        first.save(tmp_path / name, save_all=True, append_images=[Image.new("RGB", (7, 9))])
    assert size_of(tmp_path / name) == (30, 20)


@pytest.mark.parametrize(
    ("name", "mode"),
    [("a.jfif", "RGB"), ("a.jp2", "RGB"), ("a.avif", "RGB"), ("a.pgm", "L"), ("a.tga", "RGB"), ("a.qoi", "RGB")],
)
def test_formats_that_are_rare(tmp_path: Path, name: str, mode: str) -> None:
    assert size_of(save(tmp_path / name, (30, 20), mode)) == (30, 20)


def test_a_page_by_the_name_of_a_picture_is_none(tmp_path: Path) -> None:
    save(tmp_path / "a.eps", (30, 20)).rename(tmp_path / "a.jpg")
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.format == "EPS"
    assert size_of(tmp_path / "a.jpg") == (0, 0)


def test_a_file_cut_behind_its_header_has_its_size(tmp_path: Path) -> None:
    path = save(tmp_path / "a.jpg", (300, 200))
    path.write_bytes(path.read_bytes()[:-100])
    assert size_of(path) == (300, 200)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
def test_an_image_of_more_pixels_than_allowed_has_no_size(tmp_path: Path, suffix: str) -> None:
    save(tmp_path / f"a.{suffix}", (12, 20), exif=rotated())
    for max_pixels, size in ((240, [12, 20]), (239, [0, 0])):
        assert read_sizes(str(tmp_path), [f"a.{suffix}"], max_pixels).tolist() == [size]


def test_more_pixels_than_pillow_allows_can_be_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)  # put back afterwards
    (tmp_path / "huge.png").write_bytes(huge_png(20_000, 10_000))
    assert size_of(tmp_path / "huge.png") == (0, 0)
    assert read_sizes(str(tmp_path), ["huge.png"], 200_000_000).tolist() == [[20_000, 10_000]]
    assert size_of(tmp_path / "huge.png") == (0, 0)


def test_pipes_and_devices_have_no_size_and_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "device.jpg").symlink_to("/dev/zero")
    assert read_sizes(str(tmp_path), ["pipe.jpg", "device.jpg"]).tolist() == [[0, 0], [0, 0]]


def test_no_images() -> None:
    assert read_sizes("/", []).shape == (0, 2)


def test_a_root_that_is_not_mounted_is_an_error_not_unreadable_images(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone' is not a folder on \S+, expected the images"):
        read_sizes(str(tmp_path / "gone"), ["a.jpg"])


def test_sizes_of_cub_are_the_official_ones(shared: Path) -> None:
    lines = (shared / "data/wsolevaluation_metadata/CUB/test/image_sizes.txt").read_text().split()
    official = {name: [int(width), int(height)] for name, width, height in (line.split(",") for line in lines)}
    root = shared / "data/CUB_200_2011/images"
    names = [name for name in official if (root / name).exists()]
    assert len(names) > 200
    assert read_sizes(str(root), names).tolist() == [official[name] for name in names]
