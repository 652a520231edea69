import cv2
import numpy as np
import pytest

from psol_ray.demo.outlines import OUTLINES
from psol_ray.demo.sources import load_photo
from psol_ray.demo.textures import TEXTURES, Texture, random_background


@pytest.mark.parametrize("texture", TEXTURES, ids=str)
def test_texture_lies_in_its_photo_and_holds_no_object(texture: Texture) -> None:
    height, width = load_photo(texture.photo).shape[:2]
    x0, y0, x1, y1 = texture.patch or (0, 0, width, height)
    assert 0 <= x0 < x1 <= width
    assert 0 <= y0 < y1 <= height
    for outline in (o for outlines in OUTLINES.values() for o in outlines if o.photo == texture.photo):
        mask = cv2.fillPoly(np.zeros((height, width), np.uint8), [np.round(outline.polygon).astype(np.int32)], 1)
        assert mask[y0:y1, x0:x1].sum() == 0


@pytest.mark.parametrize("texture", TEXTURES, ids=str)
def test_grey_flag_tells_the_truth(texture: Texture) -> None:
    photo = load_photo(texture.photo)
    assert texture.is_grey == bool((photo[..., 0] == photo[..., 2]).all())


@pytest.mark.parametrize(("height", "width"), [(280, 373), (373, 280), (400, 400), (1, 1)])
def test_background_has_the_wanted_shape_and_range(height: int, width: int) -> None:
    for seed in range(8):
        background = random_background(height, width, np.random.default_rng(seed))
        assert background.shape == (height, width, 3)
        assert background.dtype == np.float32
        assert background.min() >= 0
        assert background.max() <= 1


def test_background_is_chosen_by_the_generator_alone() -> None:
    first, again, other = (random_background(90, 120, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
