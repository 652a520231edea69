"""How what is not RGB of eight bits becomes RGB, and which formats are images."""

import io

import numpy as np
import pytest
from PIL import ExifTags, Image

from psol_ray.images.stored import header_size, open_stored, sniff_suffix, stored_rgb


def through(format: str, pixels: np.ndarray) -> np.ndarray:
    sink = io.BytesIO()
    Image.fromarray(pixels).save(sink, format)
    rgb = np.asarray(stored_rgb(open_stored(sink)))
    assert (rgb == rgb[..., :1]).all()
    return rgb[..., 0]


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_of_sixteen_bits_the_upper_eight_count(format: str) -> None:
    levels = np.array([[0, 255, 256, 257, 32_768, 65_535]], np.uint16)
    assert through(format, levels).tolist() == [[0, 0, 1, 1, 128, 255]]


def test_integers_that_are_more_than_sixteen_bits_are_clipped() -> None:
    assert through("TIFF", np.array([[-5, 511, 65_535, 70_000]], np.int32)).tolist() == [[0, 1, 255, 255]]


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        pytest.param([0, 0.5, 1], [0, 128, 255], id="unit"),
        pytest.param([0, 127.5, 255], [0, 128, 255], id="bytes"),
        pytest.param([-3, 0, 3], [0, 128, 255], id="negative"),
        pytest.param([7, 7, 7], [0, 0, 0], id="all the same"),
        pytest.param([0, np.nan, 1], [0, 0, 255], id="not a number"),
        pytest.param([0, np.inf, 1], [0, 255, 255], id="infinite"),
        pytest.param([np.nan, np.nan, np.nan], [0, 0, 0], id="nothing"),
        pytest.param([-3e38, 0, 3e38], [0, 0, 0], id="wider than a float"),
    ],
)
def test_floats_are_stretched(values: list[float], levels: list[int]) -> None:
    assert through("TIFF", np.array([values], np.float32)).tolist() == [levels]


def test_programs_that_draw_and_what_pillow_cannot_read_are_no_images() -> None:
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n"
    for content in (eps, b"\xd7\xcd\xc6\x9a" + bytes(40), b"GRIB" + bytes(3) + b"\1" + bytes(9), b"BUFR" + bytes(20)):
        with pytest.raises(OSError, match="cannot identify"):
            open_stored(io.BytesIO(content))


@pytest.mark.parametrize("format", ["PNG", "TIFF", "BMP"])
def test_headers_say_the_size_of_what_is_too_large_to_be_decoded(format: str) -> None:
    limit, sink = Image.MAX_IMAGE_PIXELS, io.BytesIO()
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    Image.new("1", (20_000, 10_000)).save(sink, format, exif=exif)
    with pytest.raises(Image.DecompressionBombError):
        open_stored(sink)
    assert header_size(sink.getvalue()) == (20_000, 10_000)
    assert limit == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize(
    ("format", "suffix"), [("JPEG", ".jpg"), ("MPO", ".jpg"), ("PNG", ".png"), ("WEBP", ".webp"), ("JPEG2000", ".jpg")]
)
def test_a_suffix_is_one_that_readers_take_for_an_image(format: str, suffix: str) -> None:
    sink = io.BytesIO()
    Image.new("RGB", (20, 10)).save(sink, format)
    assert sniff_suffix(sink.getvalue()) == suffix
    assert sniff_suffix(b"no image") == ".jpg"
