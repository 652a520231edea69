import numpy as np
import pytest

from psol_ray.demo import sources
from psol_ray.demo.outlines import OUTLINES
from psol_ray.demo.sources import find_photo, load_disparity, load_photo
from psol_ray.demo.textures import TEXTURES
from psol_ray.errors import UserError

PHOTOS = sorted({o.photo for outlines in OUTLINES.values() for o in outlines} | {t.photo for t in TEXTURES})


@pytest.mark.parametrize("name", PHOTOS)
def test_every_photo_in_use_is_installed_and_loads_as_rgb(name: str) -> None:
    photo = load_photo(name)
    assert photo.dtype == np.uint8
    assert photo.ndim == 3
    assert photo.shape[2] == 3
    assert photo.std() > 5


def test_shared_photos_cannot_be_changed_by_accident() -> None:
    with pytest.raises(ValueError, match="read-only"):
        load_photo("china.jpg")[0, 0] = 0


def test_missing_photo_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"'unicorn.png'.*pip install scikit-image scikit-learn"):
        find_photo("unicorn.png")
    monkeypatch.setattr(sources, "PHOTO_FOLDERS", (("no_such_package_here", "data"),))
    with pytest.raises(UserError, match="pip install"):
        find_photo("china.jpg")


def test_disparity_matches_its_photo_and_is_finite() -> None:
    disparity = load_disparity()
    assert disparity.shape == load_photo("motorcycle_left.png").shape[:2]
    assert np.isfinite(disparity).all()
    assert disparity[180, 200] > disparity[180, 650] + 20  # the seat stands before the shelves
