"""`psol export-model FILE`: what is written, where, and what is refused."""

import io
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from PIL import Image

from psol_ray.cli import main

from .conftest import Run


@pytest.mark.slow
def test_a_run_s_networks_become_one_file(whole: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "new/model.onnx"
    assert main(["export-model", str(file), "--run_dir", str(whole.run_dir)]) == 0
    assert "model.onnx" in (told := capsys.readouterr().out)
    assert "to box and probabilities of 2 classes" in told
    with Image.open(whole.root / "val/red/0.jpg") as image:
        pixels = np.array(image.convert("RGB"))
    box, probabilities = onnxruntime.InferenceSession(file).run(None, {"image": pixels})
    assert box.shape == (4,)
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)


@pytest.mark.slow
def test_weights_alone_are_enough(whole: Run, tmp_path: Path) -> None:
    model = str(whole.run_dir / "localizer/model.safetensors")
    assert main(["export-model", str(tmp_path / "model.pt2"), "--predict.localizer", model]) == 0
    program = torch.export.load(io.BytesIO((tmp_path / "model.pt2").read_bytes())).module()
    (box,) = program(torch.zeros((50, 70, 3), dtype=torch.uint8))
    assert box.shape == (4,)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["model.tflite", "--run_dir", "a"], "file: found 'model.tflite', expected a name that ends in .onnx or .pt2"),
        (["model.onnx"], "found neither --run_dir nor --predict.localizer, expected a run directory or a model"),
        ([], "file: found nothing, expected a file"),
    ],
)
def test_a_mistake_is_one_sentence(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export-model", *words]) == 2
    assert sentence in capsys.readouterr().err
