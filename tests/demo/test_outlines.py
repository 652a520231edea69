import numpy as np
import pytest

from psol_ray.demo.outlines import OUTLINES, Outline, class_names
from psol_ray.demo.sources import load_photo

ALL = [pytest.param(o, id=f"{name}{i}") for name, outlines in OUTLINES.items() for i, o in enumerate(outlines)]


def test_class_names_are_sorted_and_enough() -> None:
    assert class_names() == sorted(set(class_names()))
    assert len(class_names()) >= 8


@pytest.mark.parametrize("outline", ALL)
def test_outline_lies_in_its_photo(outline: Outline) -> None:
    height, width = load_photo(outline.photo).shape[:2]
    low, high = np.min(outline.polygon, axis=0), np.max(outline.polygon, axis=0)
    assert (low >= -2).all()
    assert (high <= (width + 2, height + 2)).all()
    assert (high - low >= 45).all(), "too small to enlarge"


@pytest.mark.parametrize("outline", ALL)
def test_grey_flag_tells_the_truth(outline: Outline) -> None:
    photo = load_photo(outline.photo)
    assert outline.is_grey == bool((photo[..., 0] == photo[..., 2]).all())
