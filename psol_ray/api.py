"""The Python interface: boxes for a folder, a localizer on a photograph, and scores of boxes, in three lines each.

import psol_ray as psol

boxes = psol.draw_boxes("photos")
localizer = psol.load_localizer("runs/mine")
scores = psol.score_boxes(boxes, truth)
"""

import tempfile
import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
from rich.console import Console

from psol_ray.catalog.settings import DataConfig
from psol_ray.config import BoxesConfig, Config
from psol_ray.distributed.settings import ClusterConfig
from psol_ray.evaluation.join import catalog_rows
from psol_ray.evaluation.quality import quality
from psol_ray.evaluation.scoring import ScoringProtocol
from psol_ray.tables.schemas import BOXES, CATALOG, boxes_array

if TYPE_CHECKING:
    from psol_ray.prediction.photo import PhotoPredictor

__all__ = ["draw_boxes", "list_images", "load_localizer", "score_boxes"]


def draw_boxes(images: str | Path, *, run_dir: str | Path | None = None, **settings: Any) -> pa.Table:
    """Draw a pseudo box on every image of a folder, by Deep Descriptor Transformation (Sec. 3.2.1), in this process.

    >>> boxes = draw_boxes("photos", weights="vgg16.safetensors", input_size=224)  # doctest: +SKIP
    >>> boxes.select(["image_id", "x0", "y0", "x1", "y1", "quality"]).to_pandas()  # doctest: +SKIP

    Args:
        images: a folder of images, or a list of them, in any layout of docs/layouts.md.
        run_dir: where the work is kept, so that the same call goes on where it was interrupted, and `psol report` or
            `psol train localizer` can follow; None keeps nothing.
        settings: fields of the section `boxes`, such as `backbone`, `weights` and `input_size`.

    Returns:
        A row an image, schema `BOXES` (boxes in pixels of the image as stored), and `quality` (float64, see
        `psol_ray.evaluation.quality`).

    Raises:
        UserError: the folder fits no layout, weights cannot be had, and so on; its text is one sentence.
    """
    from psol_ray.pipeline import boxes, index

    with ExitStack() as stack:
        folder = run_dir or stack.enter_context(tempfile.TemporaryDirectory())
        context = _context(images, folder, BoxesConfig(**settings))
        boxes.check(context)
        index.index(context)
        boxes.boxes(context)
        _warn(context)
        table = context.stage("boxes").read(BOXES)
    return table.append_column("quality", pa.array(quality(table)))


def list_images(images: str | Path, *, layout: str = "auto") -> pa.Table:
    """The catalog of a folder: its images with class, split, size and the ground-truth boxes that come with them.

    Args:
        images: see `draw_boxes`.
        layout: see docs/layouts.md.

    Returns:
        A row an image, schema `CATALOG`.

    Raises:
        UserError: the folder does not fit the layout.
    """
    from psol_ray.pipeline import index

    with tempfile.TemporaryDirectory() as folder:
        context = _context(images, folder, BoxesConfig(), layout)
        index.index(context)
        _warn(context)
        return context.stage("catalog").read(CATALOG)


def load_localizer(
    model: str | Path, classifier: str | Path | None = None, *, device: Literal["cpu", "cuda", "auto"] = "auto"
) -> "PhotoPredictor":
    """A trained localizer for single images, and a classifier where the run has one or one is given.

    >>> localizer = load_localizer("runs/mine")  # doctest: +SKIP
    >>> [found] = localizer.predict([PIL.Image.open("dog.jpg")])  # doctest: +SKIP
    >>> found.box  # doctest: +SKIP

    Args:
        model: a run directory, or a model.safetensors of one.
        classifier: a model.safetensors.
        device: cpu, cuda, or auto.

    Raises:
        UserError: there is no such network.
    """
    from psol_ray.prediction.photo import load_photo_predictor

    return load_photo_predictor(str(model), None if classifier is None else str(classifier), device=device)


def score_boxes(boxes: pa.Table, truth: pa.Table) -> dict[str, float]:
    """Score boxes against ground truth: shares of images, and the mean IoU (Sec. 4.1).

    >>> truth = pa.Table.from_pylist(
    ...     [{"image_id": "a.jpg", "split": "train", "width": 100, "height": 100, "gt_boxes": [[0.0, 0.0, 50.0, 50.0]]}]
    ... )
    >>> boxes = pa.table({"image_id": ["a.jpg"], "x0": [0.0], "y0": [0.0], "x1": [50.0], "y1": [100.0]})
    >>> score_boxes(boxes, truth)
    {'images': 1, 'gt_known': 1.0, 'iou_30': 1.0, 'iou_70': 0.0, 'mean_iou': 0.5}

    Args:
        boxes: `image_id`, `x0`, `y0`, `x1`, `y1` of each image, in pixels; NaN counts as wrong.
        truth: a catalog (`list_images`); images without a ground-truth box do not count.

    Returns:
        `images` that count; `gt_known`, `iou_30`, `iou_70`: those with an IoU of at least 0.5, 0.3 and 0.7; `mean_iou`.

    Raises:
        UserError: an image is there twice, or not in `truth`.
    """
    protocol = ScoringProtocol()
    images = truth.take(catalog_rows(truth, boxes, "boxes"))
    iou_N = protocol.ious(images, boxes_array(boxes))
    iou_N = iou_N[~np.isnan(iou_N)]
    shares = {name: float(protocol.right(iou_N, least).mean()) for name, least in _LEAST.items() if len(iou_N)}
    return {"images": len(iou_N), **shares, **({"mean_iou": float(iou_N.mean())} if len(iou_N) else {})}


_LEAST = {"gt_known": 0.5, "iou_30": 0.3, "iou_70": 0.7}


def _warn(context: Any) -> None:
    for gap in context.gaps:
        warnings.warn(f"done, but not whole: {gap}", stacklevel=3)


def _context(images: str | Path, run_dir: str | Path, boxes: Any, layout: str = "auto") -> Any:
    from psol_ray.pipeline.context import IN_PROCESS, Context

    config = Config(
        run_dir=str(run_dir),
        data=DataConfig(root=str(images), layout=layout),
        boxes=boxes,
        cluster=ClusterConfig(address=IN_PROCESS),
    )
    return Context(config, console=Console(stderr=True))
