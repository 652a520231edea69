"""Whatever is sent to a real server, it answers, and goes on answering."""

import io
import socket
import struct
import time
import zlib
from typing import Any

import numpy as np
import pytest
from PIL import ExifTags, Image

from serving.servers import Server, picture

_SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
_BIG = bytes(np.random.default_rng(0).integers(0, 256, 300 * 400 * 3, np.uint8))


def _noise(kind: str) -> bytes:
    written = io.BytesIO()
    Image.frombytes("RGB", (400, 300), _BIG).save(written, kind)
    return written.getvalue()


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _png_that_says(width: int, height: int) -> bytes:
    """A PNG of a few bytes with a header of so many pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(b"\0")) + _chunk(b"IEND", b"")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("data", "size"),
    [
        pytest.param(picture(), (40, 30), id="JPEG"),
        pytest.param(picture(mode="CMYK", color=(10, 20, 30, 40)), (40, 30), id="CMYK"),
        pytest.param(picture(mode="L", color=9), (40, 30), id="grey"),
        pytest.param(picture(kind="PNG"), (40, 30), id="PNG"),
        pytest.param(picture(kind="PNG", mode="I;16", color=40_000), (40, 30), id="PNG of 16 bits"),
        pytest.param(picture(kind="PNG", mode="RGBA", color=(1, 2, 3, 4)), (40, 30), id="PNG with transparency"),
        pytest.param(picture(kind="PNG", mode="P", color=1), (40, 30), id="PNG with a palette"),
        pytest.param(picture(kind="WEBP"), (40, 30), id="WebP"),
        pytest.param(picture(kind="TIFF"), (40, 30), id="TIFF"),
        pytest.param(picture(kind="BMP"), (40, 30), id="BMP"),
        pytest.param(picture(1, 1), (1, 1), id="a pixel"),
    ],
)
def test_photos_have_boxes(alone: Server, data: bytes, size: tuple[int, int]) -> None:
    status, answer = alone.predict(data)
    assert status == 200, answer
    (photo,) = answer["photos"]
    assert (photo["width"], photo["height"]) == size
    assert photo["box"] == pytest.approx([0.25 * size[0], 0.25 * size[1], 0.75 * size[0], 0.75 * size[1]], abs=1e-3)
    assert sorted(each["name"] for each in photo["classes"]) == ["label 0", "label 1", "label 2"]
    assert sum(each["probability"] for each in photo["classes"]) == pytest.approx(1, abs=0.02)
    assert answer["milliseconds"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_are_in_pixels_of_the_photo_as_it_is_shown(alone: Server, orientation: int, kind: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    _, answer = alone.predict(picture(40, 20, kind=kind, exif=exif))
    (photo,) = answer["photos"]
    shown = (20, 40) if orientation >= 5 else (40, 20)
    assert (photo["width"], photo["height"]) == shown
    assert photo["box"] == pytest.approx([0.25 * shown[0], 0.25 * shown[1], 0.75 * shown[0], 0.75 * shown[1]], abs=1e-3)


BAD: dict[str, tuple[bytes, int, str]] = {
    "nothing": (b"", 400, "found an empty file, expected a photo"),
    "text": (b"hello, world\n" * 9, 415, "found text, expected a photo"),
    "a path": (b"/etc/passwd", 415, "found text, expected a photo"),
    "a path upwards": (b"../../../etc/shadow\0.jpg", 415, "expected a photo"),
    "JSON": (b'{"image": "aGVsbG8="}', 415, "found JSON, expected a photo"),
    "a web page": (b"<!DOCTYPE html><html></html>", 415, "found a web page"),
    "SVG": (_SVG, 415, "found an SVG drawing"),
    "GIF": (picture(kind="GIF", mode="P", color=1), 415, "found a GIF"),
    "ICO": (picture(kind="ICO"), 415, "expected a photo"),
    "PDF": (picture(kind="PDF"), 415, "found a PDF"),
    "PostScript": (picture(kind="EPS"), 415, "expected a photo"),
    "a zip archive": (b"PK\x03\x04" + bytes(60), 415, "found a zip archive"),
    "HEIC": (b"\0\0\0\x18ftypheic" + bytes(60), 415, "found a HEIC photo"),
    "zeros": (bytes(5000), 415, "found a file of no known kind"),
    "noise": (_BIG, 415, "found a file of no known kind"),
    "a JPEG's first bytes": (_noise("JPEG")[:20], 400, "found a JPEG whose header is damaged or cut short"),
    "a JPEG cut in the middle": (_noise("JPEG")[:20_000], 400, "found a JPEG that is cut short"),
    "a PNG cut in the middle": (_noise("PNG")[:20_000], 400, "found a PNG that is cut short"),
    "a WebP cut in the middle": (_noise("WEBP")[:20_000], 400, "found a W"),
    "a bomb": (_png_that_says(60_000, 60_000), 413, "found a photo of 3600000000 pixels, expected 50 million at most"),
    "a small bomb": (_png_that_says(8000, 8000), 413, "found a photo of 8000 x 8000 pixels, expected 50 million"),
    "a header that lies": (_png_that_says(2000, 2000), 400, "found a PNG that is"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BAD)
def test_what_is_no_photo_is_refused_in_a_sentence(alone: Server, name: str) -> None:
    data, status, sentence = BAD[name]
    found, answer = alone.predict(data)
    assert (found, answer.keys()) == (status, {"error"})
    assert sentence in answer["error"]
    assert "Traceback" not in answer["error"]
    assert alone.predict(picture())[0] == 200
    in_form = alone.send_form(("image", "x.jpg", data))
    assert in_form == (found, answer)


@pytest.mark.slow
def test_what_a_client_says_of_a_file_does_not_count(alone: Server) -> None:
    assert alone.predict(picture(), **{"content-type": "text/plain"})[0] == 200
    assert alone.predict(b"hello", **{"content-type": "image/jpeg"})[0] == 415


@pytest.mark.slow
def test_files_of_a_form_are_answered_in_their_order(alone: Server) -> None:
    status, answer = alone.send_form(
        ("image", "a.jpg", picture()), ("image", "../../b\\c.png", picture(80, 60)), ("image", "d.txt", b"hello")
    )
    assert status == 200
    assert [photo["name"] for photo in answer["photos"]] == ["a.jpg", "c.png", "d.txt"]
    assert [photo.get("width") for photo in answer["photos"]] == [40, 80, None]
    assert answer["photos"][2]["error"].startswith("found text")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parts", "sentence"),
    [
        pytest.param([("photo", "a.jpg", picture())], "found the field 'photo' in the form", id="another field"),
        pytest.param([("image", "a", picture()), ("x", "b", b"")], "found the field 'x' in the form", id="one more"),
        pytest.param([], "expected", id="none"),
        pytest.param([("image", f"{i}.jpg", picture(8, 8)) for i in range(33)], "at most 32 files", id="too many"),
    ],
)
def test_forms_that_do_not_fit_are_refused(alone: Server, parts: list[tuple[str, str, bytes]], sentence: str) -> None:
    status, answer = alone.send_form(*parts)
    assert status == 400
    assert sentence in answer["error"]


PART = b'--X\r\ncontent-disposition: form-data; name="image"'


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b"--X\r\n"),
        ("multipart/form-data; boundary=X", b"no form at all"),
        ("multipart/form-data; boundary=X; charset=undefined", PART + b"\r\n\r\nabc\r\n--X--\r\n"),
        ("multipart/form-data; boundary=X", PART + b'; filename="a"\r\n\r\nab'),
        ("multipart/form-data; boundary=X", PART + b"\r\n\r\n/etc/passwd\r\n--X--\r\n"),
    ],
)
def test_damaged_forms_are_refused(alone: Server, content_type: str, body: bytes) -> None:
    status, answer = alone.request("POST", "/predict", body, {"content-type": content_type})
    assert status == 400
    assert answer["error"].startswith("found ")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "path", "status", "sentence"),
    [
        ("GET", "/predict", 405, "found GET for /predict, expected POST"),
        ("PUT", "/predict", 405, "found PUT for /predict, expected POST"),
        ("GET", "/etc/passwd", 404, "found no /etc/passwd, expected one of /, /predict"),
        ("GET", "/..%2f..%2fetc/passwd", 404, "expected one of"),
        ("GET", "/docs", 404, "found no /docs"),
    ],
)
def test_other_paths_and_methods_are_refused(
    narrow: Server, method: str, path: str, status: int, sentence: str
) -> None:
    found, answer = narrow.request(method, path)
    assert found == status
    assert sentence in answer["error"]


@pytest.mark.slow
def test_too_many_bytes_are_refused_unread(narrow: Server) -> None:
    found, answer = narrow.predict(bytes(1_000_001))
    assert (found, answer) == (
        413,
        {"error": "found an upload of 1.0 MB, expected 1.0 MB at most; send less at once, or smaller photos"},
    )


@pytest.mark.slow
def test_too_many_bytes_of_unknown_number_are_refused(narrow: Server) -> None:
    found, answer = narrow.request("POST", "/predict", iter([bytes(100_000)] * 20))
    assert found == 413
    assert answer["error"].startswith("found a larger upload, expected 1.0 MB at most")


@pytest.mark.slow
def test_too_many_pixels_are_refused(narrow: Server) -> None:
    found, answer = narrow.predict(picture(1001, 1000, kind="PNG"))
    assert (found, answer["error"]) == (
        413,
        "found a photo of 1001 x 1000 pixels, expected 1 million at most; send a smaller one",
    )
    assert narrow.predict(picture(1000, 1000, kind="PNG"))[0] == 200


def _raw(server: Server, *pieces: Any) -> bytes:
    """What comes back on a connection to which pieces are written, with pauses where these are numbers."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        for piece in pieces:
            time.sleep(piece) if isinstance(piece, float) else connection.sendall(piece)
        received = b""
        while b"}" not in received and (more := connection.recv(65536)):
            received += more
    return received


HEADERS = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n"


@pytest.mark.slow
def test_an_upload_that_does_not_go_on_ends(narrow: Server) -> None:
    answer = _raw(narrow, HEADERS, b"\xff\xd8")
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"takes more than 2 s" in answer


@pytest.mark.slow
def test_clients_that_go_away_leave_nothing_behind(narrow: Server) -> None:
    for _ in range(50):
        with socket.create_connection(("127.0.0.1", narrow.port)) as connection:
            connection.sendall(HEADERS + b"\xff\xd8")
    time.sleep(0.5)
    assert narrow.metric("psol_serve_waiting_requests") == 0
    assert narrow.metric("psol_serve_waiting_bytes") == 0
    assert narrow.predict(picture())[0] == 200


@pytest.mark.slow
def test_what_is_no_http_is_refused(narrow: Server) -> None:
    with socket.create_connection(("127.0.0.1", narrow.port), timeout=20) as connection:
        connection.sendall(b"\x16\x03\x01\x02\x00 hello\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 400")
    assert narrow.predict(picture())[0] == 200


@pytest.mark.slow
def test_nothing_of_all_this_is_a_mistake_of_the_server(alone: Server, narrow: Server) -> None:
    for server in (alone, narrow):
        assert "Traceback" not in server.log.read_text()
        assert 'status="500"' not in server.request("GET", "/metrics")[1]
