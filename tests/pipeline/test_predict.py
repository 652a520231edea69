"""`psol predict`: which of the trained networks it takes."""

import shutil

import numpy as np
import pyarrow.compute as pc
import pytest

from psol_ray.geometry.boxes import scale
from psol_ray.tables import CATALOG, PREDICTIONS, RunDir
from psol_ray.tables.schemas import boxes_array

from .conftest import Run
from .networks import file_of

CENTRE = [0.25, 0.25, 0.5, 0.5]
CORNER = [0.5, 0.5, 0.25, 0.25]


@pytest.fixture
def trained(copy: Run) -> Run:
    """A run in which nothing is predicted yet."""
    shutil.rmtree(copy.run_dir / "predictions")
    return copy


def predictions_of(run: Run) -> tuple[list[int], list[list[float]]]:
    """The first label and the box, in fractions (x0, y0, x1, y1), of each test image that can be read."""
    stages = RunDir(str(run.run_dir)).stage
    found, catalog = stages("predictions").read(PREDICTIONS), stages("catalog").read(CATALOG)
    images = catalog.take(pc.index_in(found["image_id"], value_set=catalog["image_id"].combine_chunks()))
    width_N, height_N = (images.column(name).to_numpy() for name in ("width", "height"))
    boxes_N4 = scale(boxes_array(found), 1 / width_N, 1 / height_N)
    return (
        [labels[0] for labels in found["top_labels"].to_pylist() if labels],
        boxes_N4[~np.isnan(boxes_N4[:, 0])].tolist(),
    )


@pytest.mark.parametrize(("checkpoint", "box"), [("last", CENTRE), ("best", CORNER)])
def test_takes_the_weights_it_is_told_to(trained: Run, checkpoint: str, box: list[float]) -> None:
    (trained.run_dir / "localizer" / "model.safetensors").write_bytes(file_of([CENTRE]))
    (trained.run_dir / "localizer" / "best.safetensors").write_bytes(file_of([CORNER]))
    assert trained.psol("predict", "--predict.checkpoint", checkpoint) == 0
    x, y, w, h = box
    _, boxes = predictions_of(trained)
    assert boxes == pytest.approx(np.array([[x, y, x + w, y + h]] * 5), abs=0.01)


def test_of_boxes_by_class_takes_that_of_the_first(trained: Run) -> None:
    (trained.run_dir / "localizer" / "model.safetensors").write_bytes(file_of([CENTRE, CORNER]))
    assert trained.psol("predict") == 0
    by_class = [[0.25, 0.25, 0.75, 0.75], [0.5, 0.5, 0.75, 0.75]]
    tops, boxes = predictions_of(trained)
    assert boxes == pytest.approx(np.array([by_class[top] for top in tops]), abs=0.01)


def test_a_box_in_the_middle_of_an_image_is_told_in_pixels_of_all_of_it(trained: Run) -> None:
    (trained.run_dir / "localizer" / "model.safetensors").write_bytes(file_of([CORNER]))
    assert trained.psol("predict", "--predict.view", "center") == 0
    tops, boxes = predictions_of(trained)
    assert len(tops) == 5
    # 16 of 256 are cut off on each side; small images by whole pixels.
    begin, end = 1 / 16 + 0.5 * 7 / 8, 1 / 16 + 0.75 * 7 / 8
    assert boxes == pytest.approx(np.array([[begin, begin, end, end]] * 5), abs=0.02)


def test_without_a_best_checkpoint(trained: Run, capsys: pytest.CaptureFixture[str]) -> None:
    (trained.run_dir / "localizer" / "best.safetensors").unlink(missing_ok=True)
    assert trained.psol("predict", "--predict.checkpoint", "best") == 2
    (complaint,) = capsys.readouterr().err.splitlines()
    assert "localizer: found no best.safetensors" in complaint
    assert "use --predict.checkpoint last, or run `psol train localizer --overwrite`" in complaint


def test_boxes_of_other_classes_than_the_classifier_s(trained: Run, capsys: pytest.CaptureFixture[str]) -> None:
    (trained.run_dir / "localizer" / "model.safetensors").write_bytes(file_of([CENTRE] * 3))
    assert trained.psol("predict") == 2
    (complaint,) = capsys.readouterr().err.splitlines()
    assert complaint.endswith(
        "the localizer has boxes for 3 classes and the classifier knows 2; train both on one catalog"
    )
