"""Small copies of images, and what stands for those that cannot be read."""

import base64
import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from psol_ray.report.thumbnails import make_thumbnail


def decode(uri: str | None) -> Image.Image:
    assert uri is not None
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


@pytest.mark.parametrize(
    ("stored", "small"),
    [((1000, 500), (320, 160)), ((500, 1000), (160, 320)), ((200, 100), (200, 100)), ((4000, 3), (320, 1))],
)
def test_longest_side_is_320_and_boxes_scale_with_it(
    tmp_path: Path, stored: tuple[int, int], small: tuple[int, int]
) -> None:
    path = tmp_path / "a.jpg"
    Image.new("RGB", stored).save(path)
    thumbnail = make_thumbnail(str(path), *stored)
    assert decode(thumbnail.uri).size == (thumbnail.width, thumbnail.height) == small
    # The far corner of the image is the far corner of the thumbnail.
    corner = (stored[0] * thumbnail.scale_x, stored[1] * thumbnail.scale_y)
    assert corner == pytest.approx(small)


def test_exif_orientation_is_ignored_and_not_passed_on(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (100, 50)).save(path, exif=exif, comment=b"c" * 1000)
    small = decode(make_thumbnail(str(path), 100, 50).uri)
    assert small.size == (100, 50)
    assert not small.getexif()
    assert "comment" not in small.info


@pytest.mark.parametrize(
    ("mode", "name"),
    [("CMYK", "a.jpg"), ("L", "a.jpg"), ("P", "a.png"), ("I;16", "a.png"), ("RGBA", "a.png")],
)
def test_every_mode_becomes_an_rgb_jpeg(tmp_path: Path, mode: str, name: str) -> None:
    Image.new(mode, (10, 6)).save(tmp_path / name)
    small = decode(make_thumbnail(str(tmp_path / name), 10, 6).uri)
    assert (small.format, small.mode, small.size) == ("JPEG", "RGB", (10, 6))


@pytest.mark.parametrize(("size", "small"), [((640, 320), (320, 160)), ((0, 0), (320, 240)), ((4000, 3), (320, 1))])
def test_a_file_that_cannot_be_read_has_a_size_but_no_picture(
    tmp_path: Path, size: tuple[int, int], small: tuple[int, int]
) -> None:
    thumbnail = make_thumbnail(str(tmp_path / "gone.jpg"), *size)
    assert thumbnail.uri is None
    assert (thumbnail.width, thumbnail.height) == small


def test_a_file_without_a_size_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.new("RGB", (10, 6)).save(path)
    assert make_thumbnail(str(path), 0, 0).uri is None
    os.mkfifo(tmp_path / "pipe.jpg")
    assert make_thumbnail(str(tmp_path / "pipe.jpg"), 10, 6).uri is None  # there was an image when it was indexed


@pytest.mark.parametrize("kind", ["I;16", "F"])
def test_deep_images_are_not_white(tmp_path: Path, kind: str) -> None:
    levels = np.tile(np.linspace(0, 1, 64), (40, 1))
    values = (levels * 65535).astype(np.uint16) if kind == "I;16" else levels.astype(np.float32)
    Image.fromarray(values).save(tmp_path / "a.tif")
    shown = np.asarray(decode(make_thumbnail(str(tmp_path / "a.tif"), 64, 40).uri))[..., 0]
    assert np.abs(shown - levels * 255).max() < 8


def test_a_truncated_file_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "cut.jpg"
    Image.effect_noise((300, 300), 50).save(path)
    path.write_bytes(path.read_bytes()[:5000])
    assert make_thumbnail(str(path), 300, 300).uri is None
