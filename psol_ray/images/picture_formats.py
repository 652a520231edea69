"""What is a picture: the formats that the installed Pillow opens, without those that are something else."""

from functools import cache

from PIL import Image

__all__ = ["picture_formats", "picture_suffixes"]

# Measurements, vector drawings, pages, films and captions. Pillow knows what they are and cannot draw them itself; for
# a page it would start Ghostscript, and run the program that the page is.
_NO_PICTURES = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "IPTC", "MPEG", "PDF", "WMF"})

# Pillow does not list these among JPEG's suffixes; browsers, phones and stereo cameras write them.
_MORE_JPEGS = frozenset({".jfi", ".jif", ".jps", ".mpo", ".pjp", ".pjpeg"})


@cache
def picture_formats() -> tuple[str, ...]:
    """Names of the formats, for `Image.open(…, formats=picture_formats())`, whatever a file's suffix says.

    They are tried in this order, which does not depend on what this process opened before. Those that have no
    signature, and take what looks like their header, come last.
    """
    Image.init()
    frequent = ("JPEG", "PNG")
    others = set(Image.ID) - _NO_PICTURES - set(frequent)
    return frequent + tuple(sorted(others, key=lambda name: (Image.OPEN[name][1] is None, name)))


@cache
def picture_suffixes() -> frozenset[str]:
    """Suffixes of files that are taken for pictures, lower-case and with their dots."""
    formats = picture_formats()
    return _MORE_JPEGS | {suffix for suffix, name in Image.EXTENSION.items() if name in formats}
