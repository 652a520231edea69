from pathlib import Path

import pytest

from psol_ray.catalog.layouts import list_images
from psol_ray.errors import UserError

from .trees import touch


def test_an_unknown_layout_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data.layout is 'coco', expected one of imagenet, cub, folder"):
        list_images("coco", str(tmp_path))


@pytest.mark.parametrize("layout", ["imagenet", "cub", "folder"])
@pytest.mark.parametrize(("name", "found"), [("gone", "does not exist"), ("file.jpg", "is a file")])
def test_a_root_that_is_no_folder_is_an_error(tmp_path: Path, layout: str, name: str, found: str) -> None:
    touch(tmp_path, "file.jpg")
    with pytest.raises(UserError, match=rf"{name}' {found}, expected a folder"):
        list_images(layout, str(tmp_path / name))


@pytest.mark.parametrize("layout", ["imagenet", "folder"])
def test_a_relative_root_with_a_slash_gives_the_same_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    touch(tmp_path, "data/train/cat/1.jpg")
    monkeypatch.chdir(tmp_path)
    assert list_images(layout, "data/")["image_id"].to_pylist() == ["train/cat/1.jpg"]
