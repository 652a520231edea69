import os
from pathlib import Path

import pytest

from psol_ray.catalog.voc_xml import read_voc_xml
from psol_ray.errors import UserError

from .test_annotations import A, B, C, contents
from .trees import voc_xml, write


def test_voc_xml_of_the_images_asked_for(tmp_path: Path) -> None:
    write(tmp_path / "v1.xml", voc_xml("n01", A, C))
    write(tmp_path / "v2.xml", voc_xml("n02", B))
    write(tmp_path / "v3.xml", voc_xml("n03"))
    write(tmp_path / "unasked.xml", "not XML")
    found = read_voc_xml(tmp_path, ["v2", "missing", "v3", "v1", "y" * 252])
    assert contents(found) == [("v2", "n02", B), ("v1", "n01", A), ("v1", "n01", C)]


def test_the_size_that_a_file_says(tmp_path: Path) -> None:
    write(tmp_path / "v1.xml", voc_xml("n01", A, size=(64, 48)))
    write(tmp_path / "v2.xml", voc_xml("n01", A, size=(0, 0)))
    write(tmp_path / "v3.xml", voc_xml("n01", A))
    write(tmp_path / "v4.xml", voc_xml("n01", A, size=(64, 48)).replace("<width>64", "<width>wide"))
    assert read_voc_xml(tmp_path, ["v1", "v2", "v3", "v4"]).image_sizes == {"v1": (64, 48)}


@pytest.mark.parametrize("encoding", ["gb2312", "shift_jis", "utf-16", "latin-1"])
def test_any_encoding_that_python_knows_is_read(tmp_path: Path, encoding: str) -> None:
    name = "caf\u00e9" if encoding == "latin-1" else "\u4e2d"
    text = f'<?xml version="1.0" encoding="{encoding}"?>\n{voc_xml(name, A)}'
    (tmp_path / "v1.xml").write_bytes(text.encode(encoding))
    assert contents(read_voc_xml(tmp_path, ["v1"])) == [("v1", name, A)]


def test_a_namespace_is_no_matter(tmp_path: Path) -> None:
    write(tmp_path / "v1.xml", voc_xml("n01", A).replace("<annotation>", '<annotation xmlns="http://x">'))
    assert contents(read_voc_xml(tmp_path, ["v1"])) == [("v1", "n01", A)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "no element found.*expected XML"),
        ("<annotation><object>", "expected XML"),
        ("<html><body>404</body></html>", "found <html>, expected <annotation> of PASCAL VOC; unpack"),
        ('<?xml version="1.0" encoding="foo-8"?><annotation/>', "found unknown encoding: foo-8, expected XML"),
        ('<?xml version="1.0" encoding="gb2312"?><annotation>\x80</annotation>', "'gb2312' codec can't decode"),
        (voc_xml("", A), "found an object without name"),
        (voc_xml("n01", A).replace("<name>n01</name>", ""), "found an object without name"),
        (voc_xml("n01", A).replace("<ymax>3.0</ymax>", ""), "found 0.0, 1.0, 2.0, nothing"),
        (voc_xml("n01", A).replace("2.0", "two"), "found 0.0, 1.0, two, 3.0"),
    ],
)
def test_a_bad_xml_file_is_named(tmp_path: Path, text: str, found: str) -> None:
    write(tmp_path / "v1.xml", text)
    with pytest.raises(UserError, match=rf"v1.xml: .*{found}"):
        read_voc_xml(tmp_path, ["v1"])


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, make: object) -> None:
    make(tmp_path / "v1.xml")  # type: ignore[operator]
    with pytest.raises(OSError, match=r"no regular file: .*v1\.xml"):
        read_voc_xml(tmp_path, ["v1"])
