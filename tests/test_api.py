"""`import psol_ray as psol`: what is said in three lines works in three lines."""

import doctest
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from synthetic.images import write_images

import psol_ray as psol
from psol_ray import api
from psol_ray.errors import UserError

DDT = {"backbone": "test_resnet", "weights": "random", "input_size": 96}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("api"), ["red", "blue"])


def test_examples() -> None:
    failed, tried = doctest.testmod(api)
    assert tried > 2
    assert not failed


def test_boxes_of_a_folder_and_their_scores(images: Path) -> None:
    boxes = psol.draw_boxes(images, **DDT)
    scores = psol.score_boxes(boxes, psol.list_images(images))
    assert scores["images"] == len(boxes) == 18
    assert 0 < scores["mean_iou"] <= 1
    assert scores["iou_70"] <= scores["gt_known"] <= scores["iou_30"]
    assert np.isfinite(np.asarray(boxes["quality"])).all()


def test_a_run_that_is_kept_is_not_made_twice(images: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    first = psol.draw_boxes(images, run_dir=tmp_path, **DDT)
    capfd.readouterr()
    assert psol.draw_boxes(images, run_dir=tmp_path, **DDT).equals(first)
    assert "complete already" in capfd.readouterr().err


def test_a_mistake_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected"):
        psol.draw_boxes(tmp_path / "nowhere", **DDT)
    with pytest.raises(TypeError, match="no_such_setting"):
        psol.draw_boxes(tmp_path, no_such_setting=1)


def test_importing_it_loads_nothing_heavy() -> None:
    program = "import sys, psol_ray; print({'torch', 'pyarrow', 'ray'} & set(sys.modules))"
    assert (
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "set()\n"
    )


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'boxes_for'"):
        psol.boxes_for  # noqa: B018
