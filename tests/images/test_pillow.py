"""The reference decoder: stored pixels, whatever the file calls itself."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image
from synthetic.photographs import AWAY, BAD, KINDS, flower, levels_apart, make_away, oriented, save_bad, save_kind

from psol_ray.errors import ImagesAway
from psol_ray.images.pillow import PillowDecoder, decode_file

# Compression changes pixels, a palette many of them; turned or clipped images are 30 to 200 levels off.
LOSS = {"palette.png": 10, "palette_alpha.png": 40, "pillow_only.gif": 10}
GREY = {"grey.jpg", "sixteen_bits.png"}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_gives_its_stored_pixels(name: str, tmp_path: Path) -> None:
    image = flower().convert("L").convert("RGB") if name in GREY else flower()
    expected = np.asarray(image.resize((64, 64), Image.Resampling.BILINEAR))
    found = decode_file(save_kind(name, tmp_path), 64)
    assert found is not None
    assert found.dtype == np.uint8
    assert levels_apart(found, expected).mean() < LOSS.get(name, 2)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["raw.tif", "lzw.tif", "x.jpg", "x.png", "x.webp"])
def test_no_orientation_turns_an_image(kind: str, orientation: int, tmp_path: Path) -> None:
    plain, turned = str(tmp_path / f"plain_{kind}"), str(tmp_path / kind)
    options = {"compression": "tiff_lzw"} if kind == "lzw.tif" else {}
    flower().save(plain, **options)
    if kind.endswith("tif"):
        flower().save(turned, tiffinfo={ExifTags.Base.Orientation: orientation}, **options)
    else:
        flower().save(turned, exif=oriented(orientation))
    expected = decode_file(plain, 32)
    assert expected is not None
    np.testing.assert_array_equal(decode_file(turned, 32), expected)


@pytest.mark.parametrize("name", BAD)
def test_bad_file_is_none(name: str, tmp_path: Path) -> None:
    assert decode_file(save_bad(name, tmp_path), 32) is None


@pytest.mark.parametrize("name", AWAY)
def test_file_that_cannot_be_read_is_an_error_of_its_place(name: str, tmp_path: Path) -> None:
    path = make_away(name, tmp_path)
    with pytest.raises(OSError, match=r"\S"):
        decode_file(path, 32)
    with pytest.raises(ImagesAway) as raised:
        PillowDecoder(32, num_threads=2).decode([save_kind("plain.png", tmp_path), path, "", path + "x"])
    assert raised.value.paths == (path, path + "x")


def test_empty_path_is_not_opened() -> None:
    assert decode_file("", 32) is None
    assert PillowDecoder(32).decode(["", ""]).ok_N.tolist() == [False, False]


@pytest.mark.parametrize(
    "region",
    [
        pytest.param((0, 0, 331, 211), id="too wide"),
        pytest.param((-1, 0, 10, 10), id="left of the image"),
        pytest.param((0, 200, 10, 212), id="below the image"),
        pytest.param((10, 10, 10, 20), id="empty"),
        pytest.param((20, 10, 10, 20), id="inside out"),
    ],
)
def test_region_outside_the_image_is_none(region: tuple[int, ...], tmp_path: Path) -> None:
    path = save_kind("plain.png", tmp_path)
    assert decode_file(path, 32, (0, 0, 330, 211)) is not None
    assert decode_file(path, 32, region) is None


def test_region_is_cut_out_then_squashed_then_mirrored(tmp_path: Path) -> None:
    path = save_kind("plain.png", tmp_path)
    cut = np.asarray(flower())[20:52, 40:72]
    np.testing.assert_array_equal(decode_file(path, 32, (40, 20, 72, 52)), cut)
    np.testing.assert_array_equal(decode_file(path, 32, (40, 20, 72, 52), flip=True), cut[:, ::-1])


def test_batch_keeps_its_order_and_a_bad_file_costs_only_itself(tmp_path: Path) -> None:
    good = save_kind("plain.png", tmp_path)
    decoded = PillowDecoder(32, num_threads=3).decode(
        [good, save_bad("text.jpg", tmp_path), good], np.array([[0, 0, 99, 99]] * 3), np.array([False, False, True])
    )
    assert decoded.ok_N.tolist() == [True, False, True]
    first, bad, mirrored = decoded.images_NHWC.numpy()
    np.testing.assert_array_equal(first, mirrored[:, ::-1])
    assert first.any()
    assert not bad.any()


def test_odd_exif_does_not_fill_the_terminal(tmp_path: Path) -> None:
    path = save_kind("turned_by_exif.jpg", tmp_path)
    content = bytearray(Path(path).read_bytes())
    start = content.index(b"Exif\0\0") + 6
    content[start + 8 : start + 10] = b"\xff\x7f"  # many more entries than there are
    Path(path).write_bytes(content)
    code = f"from psol_ray.images.pillow import decode_file; print(decode_file({path!r}, 32).shape)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "(32, 32, 3)\n"
    assert found.stderr == ""
