"""A predictor as one program for others to run: whole photos in, boxes in pixels out, by ONNX or torch.export.

Preprocessing is part of it: the photo is squashed as Pillow does it, first its rows and then its columns, each by an
antialiased triangle filter whose result is rounded to whole grey levels. Pillow sums in integers, so now and then a
pixel is another by one level.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import torch
from torch import nn

from psol_ray.errors import UserError
from psol_ray.prediction.photo import PhotoPredictor

__all__ = ["PhotoProgram", "to_onnx", "to_pt2"]

# What a program is traced with.
_EXAMPLE = (192, 256, 3)
_OPSET = 18  # the first whose Resize is antialiased


class PhotoProgram(nn.Module):
    """A uint8 photo `(H, W, 3)` of any size to its box `(4,)`, `(x0, y0, x1, y1)` in pixels, and, where there is a
    classifier, the probabilities `(K,)` of its classes. In float32."""

    def __init__(self, predictor: PhotoPredictor) -> None:
        super().__init__()
        # Where the exporters look for weights.
        self.networks = nn.ModuleList(predictor.forward.networks)
        self._forward, self._view = predictor.forward.in_float32(), predictor.view
        self.eval().requires_grad_(False)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        planes_13HW = image.permute(2, 0, 1)[None].float()
        squares = {side: _squashed(planes_13HW, side) for side in sorted(self._forward.sides)}
        fractions_14, probs_1K = self._forward.say(squares)
        box = self._in_pixels(fractions_14[0].float(), image)
        return (box,) if probs_1K is None else (box, probs_1K[0])

    def _in_pixels(self, fractions: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """As `View.in_image` has it."""
        view = self._view
        start = round((view.resize - view.size) / 2)
        corner, side = fractions[:2], fractions[2:]
        square = torch.cat([corner, corner + side]).clamp(0, 1) * view.size + start
        height, width = torch.scalar_tensor(image.shape[0]), torch.scalar_tensor(image.shape[1])
        return square * torch.stack([width, height, width, height]) / view.resize


def _squashed(planes_13HW: torch.Tensor, side: int) -> torch.Tensor:
    """Float `(1, 3, H, W)` to `(1, side, side, 3)`, in whole grey levels."""
    for size in ((planes_13HW.shape[2], side), (side, side)):
        planes_13HW = nn.functional.interpolate(planes_13HW, size, mode="bilinear", antialias=True)
        # Pillow's halves go up; those of `round` to the even number.
        planes_13HW = (planes_13HW + 0.5).floor().clamp(0, 255)
    return planes_13HW.permute(0, 2, 3, 1)


def to_pt2(predictor: PhotoPredictor) -> bytes:
    """A program for `torch.export.load`; `psol_ray` among its extra files is a JSON text of what it is."""
    sink = io.BytesIO()
    sizes = {0: torch.export.Dim("height", min=2), 1: torch.export.Dim("width", min=2)}
    with _quiet():
        program = torch.export.export(PhotoProgram(predictor), (_example(),), dynamic_shapes={"image": sizes})
        torch.export.save(program, sink, extra_files={"psol_ray": json.dumps(_facts(predictor))})
    return sink.getvalue()


def to_onnx(predictor: PhotoPredictor) -> bytes:
    """A model of ONNX with the input `image` and the outputs `box` and, with a classifier, `probabilities`.

    Its metadata say what it is, `psol_ray` as a JSON text.

    Raises:
        UserError: what writes ONNX is not installed.
    """
    missing = [name for name in ("onnx", "onnxscript") if find_spec(name) is None]
    if missing:
        raise UserError(f"found no {' and no '.join(missing)}, which write ONNX; run `pip install 'psol-ray[onnx]'`")
    outputs = ["box", "probabilities"] if predictor.class_names else ["box"]
    with _quiet():
        program = torch.onnx.export(
            PhotoProgram(predictor),
            (_example(),),
            dynamic_shapes={"image": {0: "height", 1: "width"}},
            input_names=["image"],
            output_names=outputs,
            opset_version=_OPSET,
            dynamo=True,
        )
    assert program is not None
    model = program.model_proto
    entry = model.metadata_props.add()
    entry.key, entry.value = "psol_ray", json.dumps(_facts(predictor))
    data: bytes = model.SerializeToString()
    return data


def _example() -> torch.Tensor:
    # Any other size will do, but for 0 and 1, which torch.export takes for special.
    return torch.zeros(_EXAMPLE, dtype=torch.uint8)


def _facts(predictor: PhotoPredictor) -> dict[str, Any]:
    return {**predictor.info, "classes": list(predictor.class_names)}


@contextmanager
def _quiet() -> Iterator[None]:
    """Exporters tell of every step, on stdout, too."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"), contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)
