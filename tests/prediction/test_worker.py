"""The worker of prediction as a plain object, on real images."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from synthetic.fixtures import pillow_alone
from synthetic.images import write_squares
from synthetic.networks import file_of
from synthetic.tables import catalog_of, image

from psol_ray.images import decoder
from psol_ray.prediction.networks import TrainedNetwork
from psol_ray.prediction.views import View
from psol_ray.prediction.worker import PredictionWorker
from psol_ray.tables import PREDICTIONS
from psol_ray.tables.schemas import boxes_array
from psol_ray.work.jobs import Parts, Resources, Task

CENTRE = [0.25, 0.25, 0.5, 0.5]
LOCALIZER, CLASSIFIER = file_of([CENTRE], input_size=32), file_of([], 2, input_size=32)

WHOLE = View.make("whole", 32, 1)


def process(root: Path, *classifiers: TrainedNetwork, view: Any = "whole") -> tuple[pa.Table, list[int], list[int]]:
    """Predictions of five images, what was reported, and the sides of decoders that were made."""
    sizes, _ = write_squares(root, 5)
    images = catalog_of(*(image(f"{i}.png", width=size[0], height=size[1]) for i, size in enumerate(sizes)))
    paths = [__file__ if i == 3 else str(root / f"{i}.png") for i in range(5)]
    sides: list[int] = []

    def make(size: int, *arguments: Any, **options: Any) -> list[decoder.Decoder]:
        sides.append(size)
        return decoder.make_decoders(size, *arguments, **options)

    with pillow_alone(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("psol_ray.prediction.worker.make_decoders", make)
        localizer = TrainedNetwork(LOCALIZER, View.make(view, 32, 0.5))
        worker = PredictionWorker(localizer, classifiers, "float32", 2, Resources(1))
        done: list[int] = []
        parts = worker.process(Task("part-00000", images, paths, done.append))
    assert isinstance(parts, Parts)
    assert parts.keys() == {"predictions"}
    return parts["predictions"], done, sorted(sides)


def test_boxes_and_classes_of_every_image_that_can_be_read(tmp_path: Path) -> None:
    table, done, sides = process(tmp_path, TrainedNetwork(CLASSIFIER, WHOLE))
    assert table.schema == PREDICTIONS
    assert table.column("image_id").to_pylist() == [f"{i}.png" for i in range(5)]
    assert np.isnan(boxes_array(table)).all(axis=1).tolist() == [i == 3 for i in range(5)]
    assert [sorted(labels) for labels in table.column("top_labels").to_pylist()] == [
        [] if i == 3 else [0, 1] for i in range(5)
    ]
    assert done == [2, 4, 5]
    assert sides == [32]  # one decoder for both


def test_networks_that_see_other_squares_have_decoders_of_their_own(tmp_path: Path) -> None:
    classifier = TrainedNetwork(CLASSIFIER, WHOLE)
    whole, _, _ = process(tmp_path)
    table, _, sides = process(tmp_path, classifier, view="center")
    assert sides == [32, 64]
    # The middle half of the middle half is a quarter of each side.
    widths = [(box[2] - box[0]) for box in boxes_array(whole)], [(box[2] - box[0]) for box in boxes_array(table)]
    np.testing.assert_allclose(widths[1], np.array(widths[0]) / 2, rtol=1e-5)


def test_a_localizer_alone_leaves_images_without_labels(tmp_path: Path) -> None:
    table, _, _ = process(tmp_path)
    assert table.column("top_labels").to_pylist() == [[]] * 5


def test_two_parts_at_once_are_those_of_one_after_the_other(tmp_path: Path) -> None:
    sizes, _ = write_squares(tmp_path, 12)
    images = catalog_of(*(image(f"{i}.png", width=size[0], height=size[1]) for i, size in enumerate(sizes)))
    tasks = [
        Task(f"part-{start}", images.slice(start, 6), [str(tmp_path / f"{start + i}.png") for i in range(6)], print)
        for start in (0, 6)
    ]
    with pillow_alone():
        networks = TrainedNetwork(LOCALIZER, WHOLE), [TrainedNetwork(CLASSIFIER, WHOLE)]
        worker = PredictionWorker(*networks, "float32", 2, Resources(1))
    alone = [worker.process(task) for task in tasks]
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(worker.process, tasks * 4)) == alone * 4
