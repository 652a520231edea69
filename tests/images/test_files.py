"""Files that cannot be read are told from files that are no images, and nothing is waited for."""

import errno
import os
from functools import partial
from pathlib import Path

import pytest
from synthetic.photographs import AWAY, make_away

from psol_ray.errors import ImagesAway
from psol_ray.images.files import known, open_image_file, read_whole


@pytest.mark.parametrize("name", AWAY)
def test_what_is_no_file_is_not_opened(name: str, tmp_path: Path) -> None:
    path = make_away(name, tmp_path)
    with pytest.raises(OSError, match=r"\S"):
        read_whole(path, b"", 10)
    with pytest.raises(OSError, match=r"\S"), open_image_file(path):
        pass


def test_only_files_that_begin_right_and_are_not_too_large_are_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abcdef")
    assert read_whole(str(path), b"abc", 6) == (b"abcdef", str(path))
    assert read_whole(str(path), b"abd", 6) == (None, str(path))
    assert read_whole(str(path), b"abc", 5) == (None, str(path))


def test_a_read_that_fails_is_told_although_the_parser_takes_it_for_a_broken_image() -> None:
    # Memory of the process, which begins where nothing is mapped: it opens, and reading fails.
    path = f"/proc/{os.getpid()}/mem"

    def parse() -> None:
        with open_image_file(path) as file:
            try:
                file.read(10)
            except OSError:
                raise ValueError("no image") from None

    for read in (parse, partial(read_whole, path, b"x", 10)):
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            read()


def test_no_descriptor_is_given_away_or_left_open(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    before = len(os.listdir("/proc/self/fd"))
    with open_image_file(str(path)) as file, pytest.raises(OSError, match="fileno"):
        file.fileno()
    read_whole(str(path), b"abc", 3)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="no regular file"):
        read_whole(str(tmp_path / "pipe"), b"", 1)
    assert len(os.listdir("/proc/self/fd")) == before


def test_all_files_that_are_away_are_named_with_the_first_reason() -> None:
    gone = [FileNotFoundError(errno.ENOENT, "No such file"), PermissionError(errno.EACCES, "Permission denied")]
    with pytest.raises(ImagesAway) as raised:
        known(["a", "b", "c", "d"], [1, gone[0], None, gone[1]])
    assert raised.value.paths == ("b", "d")
    assert str(raised.value) == "2 images cannot be opened (b, d: No such file)"
    assert known(["a", "b"], [1, None]) == [1, None]
