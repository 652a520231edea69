"""Which files are ordinary JPEGs: those that DALI decodes on any device, to Pillow's pixels. No pixel is decoded here.

Nearly all photographs are. What is odd in any way is left to Pillow: other formats, four components, arithmetic
coding, more than 8 bits, RGB inside a JPEG, tables that are broken, data that end early or hold what does not belong
there. Broken files that pass for ordinary ones are rare, and DALI fails on them.
"""

import re

__all__ = ["ordinary_jpeg_size"]

_DHT, _EOI, _SOS, _DQT, _DRI, _APP14, _COM = 0xC4, 0xD9, 0xDA, 0xDB, 0xDD, 0xEE, 0xFE
_FRAMES = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended and progressive, Huffman-coded
_SEGMENTS = frozenset({_DHT, _DQT, _DRI, *range(0xE0, 0xF0), _COM})
# Not stuffed zeros, restarts and fill bytes, which are part of coded data. A pattern is quicker than NumPy here, and
# does not let the interpreter's lock go and wait for it again at every step.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


def ordinary_jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of an ordinary JPEG; None for any other file."""
    try:
        return _size(data)
    except IndexError:  # it ends within a segment
        return None


def _size(data: bytes) -> tuple[int, int] | None:
    size: tuple[int, int] | None = None
    at = 2
    while True:
        while data[at] == data[at + 1] == 0xFF:  # fill bytes
            at += 1
        marker, length = data[at + 1], data[at + 2] << 8 | data[at + 3]
        if data[at] != 0xFF or length < 2:
            return None
        segment = data[at + 4 : at + 2 + length]
        if marker in _FRAMES and size is None:
            size = _frame_size(segment)
        elif marker not in _SEGMENTS or not _is_sound(marker, segment):
            break
        at += 2 + length
    return size if marker == _SOS and _ends_as_it_should(data, at) else None


def _frame_size(segment: bytes) -> tuple[int, int] | None:
    """Of a frame of 8 bits with one component, or with three of which the last two are chroma."""
    precision, components = segment[0], segment[6:]
    height, width = segment[1] << 8 | segment[2], segment[3] << 8 | segment[4]
    ids, sampling = components[::3], components[1::3]
    grey = segment[5] == 1
    colour = segment[5] == 3 and ids != b"RGB" and sampling[1:] == b"\x11\x11"
    if precision != 8 or len(components) != 3 * segment[5] or not (grey or colour) or not (width and height):
        return None
    return width, height


def _is_sound(marker: int, segment: bytes) -> bool:
    """Whether tables have the lengths that they say; and no `Adobe` says that RGB was not turned into YCbCr."""
    if marker == _APP14:
        return segment[:5] != b"Adobe" or segment[11] == 1
    if marker not in (_DHT, _DQT):
        return marker != _DRI or len(segment) == 2
    at = 0
    while at < len(segment):
        if segment[at] & 0x0F > 3 or segment[at] >> 4 > 1:
            return False
        if marker == _DQT:
            at += 129 if segment[at] >> 4 else 65
        else:
            at += 17 + sum(segment[at + 1 : at + 17])
    return at == len(segment)


def _ends_as_it_should(data: bytes, start: int) -> bool:
    """Whether the end marker follows the scan at `start`, with nothing between but other scans and their tables.

    Pillow refuses other markers there, and DALI does not.
    """
    while (found := _MARKER.search(data, start)) is not None:
        at = found.start()
        marker = data[at + 1]
        if marker == _EOI:
            return True
        length = data[at + 2] << 8 | data[at + 3]
        segment = data[at + 4 : at + 2 + length]
        if marker == _SOS:
            if len(segment) != 2 * segment[0] + 4:
                return False
        elif marker not in _SEGMENTS or not _is_sound(marker, segment):
            return False
        start = at + 2 + length
    return False
