"""Image files of every kind, made of photographs that come with scikit-learn and scikit-image."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import skimage
import sklearn.datasets
from numpy.typing import NDArray
from PIL import ExifTags, Image

SKLEARN = Path(sklearn.datasets.__file__).parent / "images"
SKIMAGE = Path(skimage.__file__).parent / "data"
FLOWER = SKLEARN / "flower.jpg"
PHOTOGRAPHS = [FLOWER, SKLEARN / "china.jpg", SKIMAGE / "rocket.jpg"]

Save = Callable[[Image.Image, Path], None]


def flower() -> Image.Image:
    """A photograph, wider than high and unlike its mirror images."""
    with Image.open(FLOWER) as image:
        return image.convert("RGB").crop((100, 50, 430, 261))


def oriented(orientation: int) -> Image.Exif:
    """EXIF with nothing but an orientation."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return exif


def with_alpha(image: Image.Image) -> Image.Image:
    copy = image.copy()
    copy.putalpha(Image.linear_gradient("L").resize(image.size))
    return copy


# By file name; a PNG named .JPEG is in ImageNet, and so are CMYK JPEGs.
KINDS: dict[str, Save] = {
    "baseline.jpg": lambda image, path: image.save(path, quality=90),
    "progressive.jpg": lambda image, path: image.save(path, progressive=True),
    "no_subsampling.jpg": lambda image, path: image.save(path, subsampling=0),
    "grey.jpg": lambda image, path: image.convert("L").save(path),
    "cmyk.jpg": lambda image, path: image.convert("CMYK").save(path),
    "turned_by_exif.jpg": lambda image, path: image.save(path, exif=oriented(6)),
    "png.JPEG": lambda image, path: image.save(path, format="PNG"),
    "plain.png": lambda image, path: image.save(path),
    "alpha.png": lambda image, path: with_alpha(image).save(path),
    "palette.png": lambda image, path: image.quantize(64).save(path),
    "palette_alpha.png": lambda image, path: with_alpha(image).quantize(64).save(path),
    "sixteen_bits.png": lambda image, path: Image.fromarray(np.asarray(image.convert("L"), np.uint16) * 257).save(path),
    "lossy.webp": lambda image, path: image.save(path, quality=80),
    "turned_by_exif.webp": lambda image, path: image.save(path, lossless=True, exif=oriented(8)),
    "plain.bmp": lambda image, path: image.save(path),
    "plain.tif": lambda image, path: image.save(path),
    "turned.tif": lambda image, path: image.save(path, tiffinfo={ExifTags.Base.Orientation: 6}),
    "turned_lzw.tif": lambda image, path: image.save(
        path, compression="tiff_lzw", tiffinfo={ExifTags.Base.Orientation: 3}
    ),
    # DALI reads no GIF.
    "pillow_only.gif": lambda image, path: image.save(path),
}


def save_kind(name: str, folder: Path) -> str:
    """The flower as a file of one of `KINDS`."""
    KINDS[name](flower(), folder / name)
    return str(folder / name)


BAD: dict[str, Callable[[Path], object]] = {
    "zero_bytes.jpg": lambda path: path.write_bytes(b""),
    "text.jpg": lambda path: path.write_text("no image\n" * 99),
    "half.jpg": lambda path: path.write_bytes(FLOWER.read_bytes()[: FLOWER.stat().st_size // 2]),
    "header_only.jpg": lambda path: path.write_bytes(FLOWER.read_bytes()[:300]),
    "half.png": lambda path: path.write_bytes((SKIMAGE / "coffee.png").read_bytes()[:100_000]),
}


def save_bad(name: str, folder: Path) -> str:
    """A file of `BAD`, none of which is an image."""
    BAD[name](folder / name)
    return str(folder / name)


AWAY: dict[str, Callable[[Path], object]] = {
    "missing.jpg": lambda path: path,
    "folder.jpg": lambda path: path.mkdir(),
    "pipe.jpg": os.mkfifo,
    "device.jpg": lambda path: path.symlink_to("/dev/zero"),
    "dangling.jpg": lambda path: path.symlink_to(path.with_name("unmounted")),
    "circle.jpg": lambda path: path.symlink_to(path),
    "below_a_file.jpg": lambda path: path.symlink_to(FLOWER / "x"),
}


def make_away(name: str, folder: Path) -> str:
    """A path of `AWAY`, none of which is a file that can be read."""
    AWAY[name](folder / name)
    return str(folder / name)


def levels_apart(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.int_]:
    """Absolute differences in grey levels."""
    return np.abs(np.asarray(a, int) - np.asarray(b, int))
