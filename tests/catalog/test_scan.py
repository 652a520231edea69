import os
import socket
from pathlib import Path

import pytest

from psol_ray.catalog.passed_over import Reason
from psol_ray.catalog.scan import scan_folder
from psol_ray.errors import UserError

from .trees import touch


@pytest.mark.parametrize(
    ("name", "is_image"),
    [
        *((f"a{suffix}", True) for suffix in (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".gif")),
        *((f"a{suffix}", True) for suffix in (".jfif", ".jpe", ".jp2", ".avif", ".ppm", ".pgm")),
        ("a.JFIF", True),
        ("a.pdf", False),
        ("a.heic", False),
        ("a.JPEG", True),
        ("a.b.Png", True),
        (".hidden.jpg", False),
        (".jpg", False),
        ("Thumbs.db", False),
        ("a.txt", False),
        ("jpg", False),
        ("a.jpg.part", False),
    ],
)
def test_images_go_by_suffix(tmp_path: Path, name: str, is_image: bool) -> None:
    touch(tmp_path, name)
    assert scan_folder(tmp_path).images == ([name] if is_image else [])


def test_a_folder_named_like_an_image_is_a_folder(tmp_path: Path) -> None:
    touch(tmp_path, "b.jpg/a.jpg")
    found = scan_folder(tmp_path)
    assert (found.images, found.folders) == ([], ["b.jpg"])


def test_pipes_sockets_and_links_to_them_are_no_images(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "link.jpg").symlink_to("pipe.jpg")
    (tmp_path / "null.jpg").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(tmp_path / "s.jpg"))
        found = scan_folder(tmp_path)
    assert found.images == ["a.jpg"]
    assert found.passed_over == {(Reason.NO_FILE, f"{name}.jpg"): 1 for name in ("pipe", "link", "null", "s")}


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"gone cannot be listed \(No such file"):
        scan_folder(tmp_path / "gone")


def test_archives_are_told_by_name(tmp_path: Path) -> None:
    touch(tmp_path, "a.jpg", "b.tar", "c.tar.gz", "d.ZIP", "e.txt")
    assert scan_folder(tmp_path).passed_over == {
        **{(Reason.ARCHIVE, name): 1 for name in ("b.tar", "c.tar.gz", "d.ZIP")},
        (Reason.SUFFIX, ".txt"): 1,
    }
