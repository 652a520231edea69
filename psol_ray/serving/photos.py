"""Whether an upload is a photo: by its first bytes and its header, before anything is decoded."""

import io
import re

from PIL import ExifTags, Image, TiffImagePlugin

from psol_ray.images.stored import open_stored
from psol_ray.serving.refusal import Refusal

__all__ = ["EXPECTED", "find_orientation", "open_photo"]

# What cameras, phones and browsers make. Pillow opens sixty formats more, whose readers nobody attacks every day.
_FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP")
EXPECTED = "expected a photo: JPEG, PNG, WebP, AVIF, TIFF or BMP"

_OF_PHOTOS = {
    rb"\xff\xd8\xff": "a JPEG",
    rb"\x89PNG": "a PNG",
    rb"RIFF....WEBP": "a WebP",
    rb"....ftypavif": "an AVIF",
    rb"II\*\0|MM\0\*": "a TIFF",
    rb"BM": "a BMP",
}
_OF_OTHERS = {
    rb"GIF8": "a GIF",
    rb"....ftyp(heic|heix|mif1|hevc)": "a HEIC photo",
    rb"....ftyp": "a film",
    rb"%PDF": "a PDF",
    rb"PK\x03\x04": "a zip archive",
    rb"\x1f\x8b": "a gzip archive",
    rb"\s*(<\?xml.{0,2000}?)?<svg": "an SVG drawing",
    rb"\s*<(!doctype|html)": "a web page",
    rb"\s*[{\[]": "JSON",
}


def open_photo(data: bytes, max_pixels: int) -> Image.Image:
    """Open a photo; no pixel is decoded.

    Raises:
        Refusal: it is none, or has too many pixels, or its header is damaged.
    """
    if not data:
        raise Refusal(400, f"found an empty file, {EXPECTED}")
    try:
        image = open_stored(io.BytesIO(data), max_pixels, _FORMATS)
    except Image.DecompressionBombError as error:
        found = re.sub(r" pixels.*|.*\((\d+) pixels\).*", r"\1", str(error), flags=re.S)
        most = f"{max_pixels / 1e6:g} million"
        raise Refusal(413, f"found a photo of {found} pixels, expected {most} at most; send a smaller one") from None
    except Exception:  # Pillow's plugins raise whatever their parsers trip over
        raise _refuse_other(data) from None
    if not all(image.size):
        raise Refusal(400, f"found an image without pixels, {EXPECTED}")
    return image


def find_orientation(image: Image.Image) -> int:
    """1 to 8, as EXIF has it: how the stored pixels are turned and mirrored against what viewers show."""
    try:
        # `open_stored` takes it from a TIFF, which Pillow would turn.
        tags = image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else image.getexif()
        value = tags.get(ExifTags.Base.Orientation, 1)
    except Exception:  # a damaged block says nothing
        return 1
    return value if value in range(1, 9) else 1


def _refuse_other(data: bytes) -> Refusal:
    if kind := _kind(data, _OF_PHOTOS):
        return Refusal(400, f"found {kind} whose header is damaged or cut short, {EXPECTED}")
    hint = "; save it as JPEG" if b"ftyp" in data[:12] else ""
    kind = _kind(data, _OF_OTHERS) or ("text" if _is_text(data[:512]) else "a file of no known kind")
    return Refusal(415, f"found {kind}, {EXPECTED}{hint}")


def _kind(data: bytes, kinds: dict[bytes, str]) -> str | None:
    return next((kind for start, kind in kinds.items() if re.match(start, data[:4096], re.S | re.I)), None)


def _is_text(data: bytes) -> bool:
    # The last character may be cut in two.
    text = data.decode("utf-8", "ignore")
    return len(text.encode()) > len(data) - 4 and all(c.isprintable() or c.isspace() for c in text)
