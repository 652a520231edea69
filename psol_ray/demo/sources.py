"""The photographs the demo is made of: files that scikit-image and scikit-learn install with themselves.

They are read from the packages' folders, never through `skimage.data`, some of whose functions download.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from psol_ray.errors import UserError

__all__ = ["find_photo", "load_disparity", "load_photo"]

PHOTO_FOLDERS = (("skimage", "data"), ("sklearn", "datasets/images"))


def find_photo(name: str) -> Path:
    """Path of the file `name` below one of the two packages; `UserError` where neither holds it."""
    folders = [folder for folder in map(_package_folder, PHOTO_FOLDERS) if folder is not None]
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    raise UserError(
        f"demo photograph {name!r}: not found in {[str(folder) for folder in folders]}; it comes with "
        f"scikit-image and scikit-learn: install both (pip install scikit-image scikit-learn)"
    )


@cache
def load_photo(name: str) -> NDArray[np.uint8]:
    """The photograph as RGB, uint8 of shape (H, W, 3), read-only; a grey one has three equal channels."""
    with Image.open(find_photo(name)) as image:
        photo = np.array(image.convert("RGB"))
    photo.flags.writeable = False
    return photo


@cache
def load_disparity() -> NDArray[np.float32]:
    """Disparity in pixels of motorcycle_left.png, float32 of shape (H, W), read-only; 0 where unknown."""
    with np.load(find_photo("motorcycle_disp.npz")) as arrays:
        disparity = arrays["arr_0"].astype(np.float32)
    disparity[~np.isfinite(disparity)] = 0
    disparity.flags.writeable = False
    return disparity


def _package_folder(package_and_folder: tuple[str, str]) -> Path | None:
    """The folder without importing the package: scikit-learn takes a second to import."""
    package, folder = package_and_folder
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / folder
