"""Ordinary JPEGs are known by their markers alone, and odd ones are not among them."""

from pathlib import Path

import pytest
from synthetic import zoo
from synthetic.photographs import PHOTOGRAPHS, save_kind

from psol_ray.images.jpeg import ordinary_jpeg_size

ORDINARY = ["baseline.jpg", "progressive.jpg", "restarts.jpg", "narrow_chroma.jpg", "turned.jpg", "trailing_zeros.jpg"]


@pytest.mark.parametrize("name", [*ORDINARY, "second_picture.mpo"])
def test_ordinary_jpegs_have_their_size(name: str) -> None:
    assert ordinary_jpeg_size(zoo.COLOUR[name]()) == zoo.SIZE


def test_grey_jpegs_and_photographs_are_ordinary(tmp_path: Path) -> None:
    for path in [*PHOTOGRAPHS, Path(save_kind("grey.jpg", tmp_path))]:
        assert ordinary_jpeg_size(path.read_bytes()) is not None


@pytest.mark.parametrize("name", sorted({*zoo.COLOUR, *zoo.GREY} - {*ORDINARY, "second_picture.mpo", "grey.jpg"}))
def test_other_images_are_not_ordinary(name: str) -> None:
    assert ordinary_jpeg_size({**zoo.COLOUR, **zoo.GREY}[name]()) is None


@pytest.mark.parametrize("name", sorted({*zoo.NO_IMAGES} - {"huge.jpg"}))
def test_what_is_no_image_is_not_ordinary(name: str) -> None:
    assert ordinary_jpeg_size(zoo.NO_IMAGES[name]()) is None


def test_a_jpeg_cut_anywhere_is_not_ordinary() -> None:
    for name in ("baseline.jpg", "progressive.jpg"):
        whole = zoo.COLOUR[name]()
        assert all(ordinary_jpeg_size(whole[:length]) is None for length in range(len(whole)))


def test_fill_bytes_before_a_marker_are_allowed() -> None:
    whole = zoo.COLOUR["baseline.jpg"]()
    filled = whole.replace(b"\xff\xc0", b"\xff\xff\xff\xc0", 1)
    assert ordinary_jpeg_size(filled) == zoo.SIZE
