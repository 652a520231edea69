import pytest
from PIL import Image

from psol_ray.images.picture_formats import picture_formats, picture_suffixes


@pytest.mark.parametrize(
    "suffix",
    [".jpg", ".jfif", ".jpe", ".jps", ".jp2", ".j2k", ".avif", ".ppm", ".pgm", ".pbm", ".pnm", ".webp", ".tga", ".qoi"],
)
def test_what_pillow_opens_is_a_picture(suffix: str) -> None:
    assert suffix in picture_suffixes()


@pytest.mark.parametrize(
    "suffix",
    [
        ".pdf",
        ".eps",
        ".ps",
        ".mpg",
        ".mpeg",
        ".h5",
        ".hdf",
        ".wmf",
        ".emf",
        ".grib",
        ".bufr",
        ".iim",
        ".palm",
        ".txt",
        ".xml",
    ],
)
def test_what_is_something_else_is_none(suffix: str) -> None:
    assert suffix not in picture_suffixes()


def test_every_suffix_belongs_to_a_format_that_is_tried_but_those_that_are_jpeg_by_another_name() -> None:
    others = {suffix for suffix in picture_suffixes() if Image.EXTENSION.get(suffix) not in picture_formats()}
    assert others == {".jfi", ".jif", ".jps", ".mpo", ".pjp", ".pjpeg"}


def test_no_page_is_drawn_by_a_program_that_it_brings_along() -> None:
    assert "EPS" in Image.OPEN
    assert "EPS" not in picture_formats()
