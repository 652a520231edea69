import unicodedata
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from synthetic.logs import messages

from psol_ray.formats.paths import AMBIGUOUS, UNKNOWN, known_rows, match_images

from .synthetic import make_catalog

IDS = ["train/n01/1.jpg", "train/n02/1.jpg", "train/n01/2.jpg", "test/n01/1.jpg", "lone.jpg", "train/n02/b 3.jpg"]


@pytest.mark.parametrize(
    ("path", "row"),
    [
        pytest.param("train/n01/1.jpg", 0, id="the id itself"),
        pytest.param("/mnt/ImageNet/train/n01/1.jpg", 0, id="absolute"),
        pytest.param("/mnt/ImageNet/test/n01/1.jpg", 3, id="the longest end decides"),
        pytest.param("n02/1.jpg", 1, id="folder and name"),
        pytest.param("n02/data/n02/b 3.jpg", 5, id="folders that repeat"),
        pytest.param("elsewhere/n01/2.jpg", 2, id="shares two names"),
        pytest.param("n01/1.jpg", AMBIGUOUS, id="two ids end so"),
        pytest.param("val/n01/1.jpg", AMBIGUOUS, id="two ids share as much"),
        pytest.param("2.jpg", 2, id="a name alone, of one image"),
        pytest.param("1.jpg", AMBIGUOUS, id="a name alone, of several"),
        pytest.param("/any/where/lone.jpg", 4, id="an id without folder"),
        pytest.param("n03/2.jpg", UNKNOWN, id="another folder's"),
        pytest.param("n01/9.jpg", UNKNOWN, id="another name"),
        pytest.param("xn01/2.jpg", UNKNOWN, id="names are whole"),
        pytest.param("b 3.jpg/", UNKNOWN, id="a folder"),
        pytest.param("", UNKNOWN, id="empty"),
    ],
)
def test_the_image_whose_id_ends_like_the_path(path: str, row: int) -> None:
    assert match_images(pa.array([path]), pa.array(IDS)).tolist() == [row]
    together = match_images(pa.array([path, *IDS, path]), pa.array(IDS))
    assert together.tolist() == [row, *range(len(IDS)), row]


def test_a_path_that_is_an_id_means_that_image() -> None:
    ids = pa.array(["n01/1.jpg", "train/n01/1.jpg", "1.jpg"])
    assert match_images(ids, ids).tolist() == [0, 1, 2]
    assert match_images(pa.array(["x/n01/1.jpg"]), ids).tolist() == [AMBIGUOUS]


def test_names_in_another_unicode_form_are_the_same() -> None:
    nfc, nfd = (unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD"))
    ids = pa.array([f"train/{nfd}/1.jpg", f"train/cat/{nfc}.jpg"])
    assert match_images(pa.array([f"/data/train/{nfc}/1.jpg", f"cat/{nfd}.jpg"]), ids).tolist() == [0, 1]


def test_nothing_to_match() -> None:
    none = pa.array([], pa.string())
    assert match_images(none, pa.array(IDS)).tolist() == []
    assert match_images(pa.array(IDS), none).tolist() == [UNKNOWN] * len(IDS)
    assert match_images(none, none).dtype == np.int64


@pytest.mark.parametrize(
    ("paths", "told"),
    [
        (["/data/train/n01/a.jpg", "/data/test/n02/c 1.jpg"], ""),
        (["n01/a.jpg", "n01/b.jpg"], ""),
        (["/data/Val/n01/b.jpg", "/train/validation/n01/b.jpg"], ""),  # the test split by another name
        (
            ["n02/a.jpg", "/data/val/n01/a.jpg"],
            "x: 1 paths name another split than their images' (/data/val/n01/a.jpg of",
        ),
        (
            ["/train/n01/b.jpg", "/training/n02/c 1.jpg"],
            "x: 2 paths name another split than their images' (/train/n01/b.",
        ),
    ],
)
def test_paths_that_name_another_split_are_told_of(
    capsys: pytest.CaptureFixture[str], paths: list[str], told: str
) -> None:
    catalog = make_catalog()
    rows_M = known_rows(Path("x"), pa.array(paths), catalog)
    assert [catalog["image_id"][row].as_py().split("/", 1)[1] for row in rows_M] == [
        "/".join(path.split("/")[-2:]) for path in paths
    ]
    error = "".join(messages(capsys.readouterr().err))
    assert error.startswith(told)
    assert bool(error) == bool(told)
