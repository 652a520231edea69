"""Programs for others: whole photos of any size in, the predictor's boxes in pixels out."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from psol_ray.demo.sources import find_photo
from psol_ray.errors import UserError
from psol_ray.prediction import exported
from psol_ray.prediction.exported import PhotoProgram, to_onnx, to_pt2
from psol_ray.prediction.photo import PhotoPredictor, load_photo_predictor
from psol_ray.prediction.settings import PredictConfig

from .test_photo import CLASSIFIER, JOINT, LOCALIZER, NAMES, PER_CLASS, photographs, write_run

Run = Callable[[NDArray[np.uint8]], list[NDArray[np.float32]]]

RUNS = {
    "one classifier": {"localizer": LOCALIZER, "classifier": CLASSIFIER},
    "none": {"localizer": LOCALIZER},
    "joint": {"joint": JOINT},
    "per class": {"localizer": PER_CLASS, "classifier": CLASSIFIER},
}


def predictor_of(folder: Path, networks: str, **settings: Any) -> PhotoPredictor:
    joint = {"models": "joint"} if networks == "joint" else {}
    run = write_run(folder, RUNS[networks], precision="float32", **joint, **settings)
    return load_photo_predictor(run, device="cpu")


def run_onnx(data: bytes) -> Run:
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return lambda pixels: session.run(None, {"image": pixels})


def run_pt2(data: bytes) -> Run:
    program = torch.export.load(io.BytesIO(data)).module()
    return lambda pixels: [tensor.numpy() for tensor in program(torch.from_numpy(pixels))]


def assert_same(predictor: PhotoPredictor, run: Run, paths: list[Path]) -> None:
    for path in paths:
        with Image.open(path) as image:
            rgb = image.convert("RGB")
        (expected,) = predictor.predict([rgb])
        box, *probs = run(np.array(rgb))
        # A hundredth of the side: single pixels of the squashed image may be a grey level off.
        np.testing.assert_allclose(box, expected.box, atol=max(rgb.size) / 100)
        if expected.classes:
            tops = sorted(zip(NAMES, probs[0].tolist(), strict=True), key=lambda each: -each[1])
            assert [name for name, _ in tops] == [name for name, _ in expected.classes]
            assert [prob for _, prob in tops] == pytest.approx([prob for _, prob in expected.classes], abs=0.01)
        else:
            assert not probs


@pytest.mark.slow
@pytest.mark.parametrize("networks", RUNS)
def test_onnx_says_what_the_predictor_says(tmp_path: Path, networks: str) -> None:
    predictor = predictor_of(tmp_path, networks)
    data = to_onnx(predictor)
    assert_same(predictor, run_onnx(data), photographs(tmp_path))
    (entry,) = [each for each in onnx.load_model_from_string(data).metadata_props if each.key == "psol_ray"]
    facts = json.loads(entry.value)
    assert facts["backbone"] == "test_efficientnet"
    assert facts["classes"] == ([] if networks == "none" else NAMES)


@pytest.mark.slow
def test_both_say_of_photographs_what_the_predictor_says(tmp_path: Path) -> None:
    predictor = predictor_of(tmp_path, "one classifier")
    photos = [find_photo(name) for name in ("astronaut.png", "camera.png", "china.jpg", "flower.jpg", "rocket.jpg")]
    assert_same(predictor, run_onnx(to_onnx(predictor)), photos)
    assert_same(predictor, run_pt2(to_pt2(predictor)), photos)


@pytest.mark.slow
@pytest.mark.parametrize(("networks", "view"), [("one classifier", "whole"), ("joint", "center")])
def test_torch_export_says_what_the_predictor_says(tmp_path: Path, networks: str, view: str) -> None:
    predictor = predictor_of(tmp_path, networks, view=view)
    data = to_pt2(predictor)
    assert_same(predictor, run_pt2(data), photographs(tmp_path))
    extra = {"psol_ray": ""}
    torch.export.load(io.BytesIO(data), extra_files=extra)
    assert json.loads(extra["psol_ray"])["classes"] == NAMES


def test_preprocessing_is_pillow_s_but_for_single_grey_levels(tmp_path: Path) -> None:
    for path in photographs(tmp_path):
        with Image.open(path) as image:
            rgb = image.convert("RGB")
        expected = np.asarray(rgb.resize((32, 32), Image.Resampling.BILINEAR)).astype(int)
        planes = torch.from_numpy(np.array(rgb)).permute(2, 0, 1)[None].float()
        off = np.abs(exported._squashed(planes, 32)[0].numpy().astype(int) - expected)
        assert off.max() <= 1
        assert (off > 0).mean() < 0.05


def test_a_program_is_of_float32_whatever_the_run_s_precision(tmp_path: Path) -> None:
    pixels = torch.from_numpy(np.array(Image.open(photographs(tmp_path, 1)[0]).convert("RGB")))
    run = write_run(tmp_path, RUNS["none"])
    boxes = [
        PhotoProgram(load_photo_predictor(run, device="cpu", config=PredictConfig(classifiers=[], precision=each)))(
            pixels
        )[0]
        for each in ("float32", "bfloat16")
    ]
    assert boxes[0].equal(boxes[1])


def test_onnx_without_what_writes_it_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exported, "find_spec", lambda name: None if name == "onnxscript" else object())
    with pytest.raises(UserError, match=r"found no onnxscript, which write ONNX; run `pip install 'psol-ray\[onnx\]'`"):
        to_onnx(predictor_of(tmp_path, "none"))
