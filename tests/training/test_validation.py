"""Validation against boxes and labels that are known."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from psol_ray.evaluation import evaluate
from psol_ray.evaluation.ground_truth import GroundTruth, best_ious
from psol_ray.geometry.boxes import fractions_to_xyxy, xyxy_to_fractions
from psol_ray.images.pillow import PillowDecoder
from psol_ray.models.networks import Outputs
from psol_ray.tables.schemas import BOXES, CATALOG, PREDICTIONS, box_columns
from psol_ray.training.validation import Validator, validation_images

SIZE = 16
# In an image of 40 x 20 pixels: the left half; all of it, or the lower right quarter; nothing known.
TRUTH = [[(0, 0, 20, 20)], [(0, 0, 40, 20), (20, 10, 40, 20)], []]
LABELS = [0, 1, 1]


def make_catalog(root: Path, width: int = 40) -> pa.Table:
    """Three test images; their grey level says which they are."""
    for i in range(3):
        Image.fromarray(np.full((20, 40, 3), 100 * i, np.uint8)).save(root / f"{i}.png")
    return pa.table(
        {
            "image_id": ["t.png", *(f"{i}.png" for i in range(3))],
            "label": [0, *LABELS],
            "class_name": ["a", "a", "b", "b"],
            "split": ["train", *["test"] * 3],
            "width": [40, width, 40, 40],
            "height": [20, 20 if width else 0, 20, 20],
            "gt_boxes": [[], *TRUTH],
        },
        CATALOG,
    )


def says(boxes: list[Any] | None, labels: list[int] | None) -> Callable[[torch.Tensor], Outputs]:
    """A network that knows the images by their grey level."""

    def network(images_NHWC: torch.Tensor) -> Outputs:
        which = (images_NHWC[:, 0, 0, 0].float() / 100).round().long()
        found = None if boxes is None else torch.tensor(boxes)[which]
        logits = None if labels is None else torch.eye(2)[torch.tensor(labels)[which]]
        return Outputs(found, logits)

    return network


def scores(root: Path, network: Callable[[torch.Tensor], Outputs], catalog: pa.Table | None = None) -> dict[str, float]:
    images = validation_images(make_catalog(root) if catalog is None else catalog, classes=True)
    validator = Validator(images, PillowDecoder(SIZE), str(root), batch_size=2)
    return validator.scores(network, nullcontext)


LEFT, ALL, CORNER = [[0, 0, 0.5, 1]], [[0, 0, 1, 1]], [[0.5, 0.5, 0.5, 0.5]]


@pytest.mark.parametrize(
    ("boxes", "labels", "expected"),
    [
        pytest.param([LEFT, ALL, ALL], None, {"gt_known": 1.0}, id="boxes"),
        pytest.param([CORNER, CORNER, ALL], None, {"gt_known": 0.5}, id="the best of several ground-truth boxes"),
        pytest.param(None, [0, 1, 0], {"top1": 2 / 3}, id="classes"),
        pytest.param([ALL, LEFT, ALL], LABELS, {"gt_known": 1.0, "top1": 1.0}, id="IoU of exactly one half"),
        # Boxes of class 0 and class 1; each image counts with that of its own class.
        pytest.param([LEFT + CORNER, LEFT + ALL, LEFT + LEFT], None, {"gt_known": 1.0}, id="a box for each class"),
    ],
)
def test_scores(tmp_path: Path, boxes: Any, labels: Any, expected: dict[str, float]) -> None:
    assert scores(tmp_path, says(boxes, labels)) == pytest.approx(expected)


def test_an_image_that_cannot_be_read_is_wrong(tmp_path: Path) -> None:
    perfect = says([LEFT, ALL, ALL], LABELS)
    catalog = make_catalog(tmp_path)
    (tmp_path / "1.png").write_bytes(b"no image")
    found = scores(tmp_path, perfect, catalog)
    assert found == pytest.approx({"gt_known": 0.5, "top1": 2 / 3, "test_unreadable": 1})


def test_an_image_without_a_size_is_wrong(tmp_path: Path) -> None:
    found = scores(tmp_path, says([LEFT, ALL, ALL], LABELS), make_catalog(tmp_path, width=0))
    assert found == pytest.approx({"gt_known": 0.5, "top1": 2 / 3})


def test_says_nothing_where_nothing_is_known(tmp_path: Path) -> None:
    catalog = make_catalog(tmp_path)
    unknown = catalog.set_column(6, CATALOG.field("gt_boxes"), pa.array([[]] * 4, CATALOG.field("gt_boxes").type))
    assert scores(tmp_path, says([LEFT] * 3, None), unknown) == {}
    assert scores(tmp_path, says([LEFT] * 3, LABELS), catalog.slice(0, 1)) == {}


def test_without_classes_only_images_with_ground_truth_are_read(tmp_path: Path) -> None:
    catalog = make_catalog(tmp_path)
    assert validation_images(catalog, classes=True).column("image_id").to_pylist() == ["0.png", "1.png", "2.png"]
    assert validation_images(catalog, classes=False).column("image_id").to_pylist() == ["0.png", "1.png"]


def test_a_tie_is_right_in_validation_as_it_is_in_scores(tmp_path: Path) -> None:
    """Boxes of whole pixels that are twice the ground truth, which fractions of the sides miss by their last digit."""
    sizes_N2 = np.stack(np.meshgrid(np.arange(200, 700, 21), np.arange(201, 700, 21)), axis=-1).reshape(-1, 2)
    rng = np.random.default_rng(0)
    start_N2, extent_N2 = rng.integers(1, 60, (2, len(sizes_N2), 2))
    gt_N4 = np.concatenate([start_N2, start_N2 + extent_N2], axis=1)
    boxes_N4 = gt_N4 + extent_N2[:, :1] * [0, 0, 1, 0]
    Image.new("RGB", (SIZE, SIZE)).save(tmp_path / "0.png")
    names = [f"{i}.png" for i in range(len(sizes_N2))]
    for name in names[1:]:
        (tmp_path / name).hardlink_to(tmp_path / "0.png")
    columns = {"image_id": names, "label": [0] * len(names), "class_name": ["a"] * len(names)}
    columns |= {"split": ["test"] * len(names), "width": sizes_N2[:, 0], "height": sizes_N2[:, 1]}
    catalog = pa.table({**columns, "gt_boxes": [[box] for box in gt_N4.tolist()]}).cast(CATALOG)

    fractions_N4 = torch.from_numpy(xyxy_to_fractions(boxes_N4, *sizes_N2.T))
    done = 0

    def network(images_NHWC: torch.Tensor) -> Outputs:
        nonlocal done
        done += len(images_NHWC)
        return Outputs(fractions_N4[done - len(images_NHWC) : done, None], None)

    predictions = pa.table({"image_id": names, **box_columns(boxes_N4), "top_labels": [[]] * len(names)})
    predictions = predictions.append_column("top_probs", predictions["top_labels"]).cast(PREDICTIONS)
    expected = evaluate(catalog, BOXES.empty_table(), predictions).metrics["localization"]["gt_known"]
    assert scores(tmp_path, network, catalog) == {"gt_known": expected} == {"gt_known": 1.0}
    # What this is about: computed from fractions, many of these IoUs are below a half.
    iou_N = best_ious(fractions_to_xyxy(fractions_N4.numpy(), *sizes_N2.T), GroundTruth.of(catalog))
    assert (iou_N < 0.5).sum() > 50
