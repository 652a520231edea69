"""The worker of class maps as a plain object: maps and boxes of real images by a tiny classifier."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from synthetic.networks import file_of

from psol_ray.generators.class_maps.boxes import min_max
from psol_ray.generators.class_maps.maps import ActivationMaps
from psol_ray.generators.class_maps.worker import ClassMapWorker
from psol_ray.generators.settings import InferenceSettings
from psol_ray.images.pillow import PillowDecoder
from psol_ray.models.saved import SavedNetwork
from psol_ray.storage.addresses import image_addresses
from psol_ray.tables import BOXES, MAPS
from psol_ray.tables.schemas import boxes_array
from psol_ray.work.jobs import Parts, Resources, Task

from ..conftest import World

pytestmark = pytest.mark.usefixtures("pillow")

SIZE = 96  # 3 x 3 cells
MODEL = file_of([], 2, backbone="test_resnet", input_size=SIZE)


def process(
    world: World, method: Any = "cam", threshold: float = 0.2, bad: str = "", **inference: Any
) -> tuple[dict[str, pa.Table], list[int]]:
    """Of all images of the catalog, whatever their class."""
    worker = ClassMapWorker(method, threshold, InferenceSettings(**inference), MODEL, Resources(1))
    done: list[int] = []
    paths = [
        __file__ if bad and path.endswith(bad) else path for path in image_addresses(str(world.root), world.catalog)
    ]
    parts = worker.process(Task("part", world.catalog, paths, done.append))
    assert isinstance(parts, Parts)
    return parts, done


def expected_maps(world: World, method: Any) -> np.ndarray:
    """By the network alone, each image for its label, stretched to [0, 1]; float16, as they are kept."""
    decoded = PillowDecoder(SIZE).decode(image_addresses(str(world.root), world.catalog))
    maps = ActivationMaps(*SavedNetwork.from_bytes(MODEL), method)
    labels_N = torch.from_numpy(world.catalog.column("label").to_numpy().astype(np.int64))
    return min_max(maps(decoded.images_NHWC, labels_N)).numpy()


@pytest.mark.parametrize("method", ["cam", "grad_cam"])
def test_maps_of_test_images_are_those_of_the_network_for_their_labels(world: World, method: str) -> None:
    parts, done = process(world, method, batch_size=3)
    assert list(parts) == ["maps", "boxes"]
    assert (parts["maps"].schema, parts["boxes"].schema) == (MAPS, BOXES)
    assert parts["boxes"].column("image_id") == world.catalog.column("image_id")
    assert parts["maps"].column("image_id").to_pylist() == [f"{i}.png" for i in range(4, 8)]
    found = np.array(parts["maps"].column("values").to_pylist()).reshape(4, 3, 3)
    np.testing.assert_allclose(found, expected_maps(world, method)[4:], atol=2e-3)
    assert done == [3, 6, 8]


def test_the_threshold_is_that_of_the_settings(world: World) -> None:
    loose, tight = (process(world, threshold=threshold)[0] for threshold in (0.1, 0.9))
    assert loose["maps"].equals(tight["maps"])
    areas = [np.array(parts["boxes"].column("area_fraction").to_pylist()) for parts in (loose, tight)]
    assert (areas[0] > areas[1]).all()


def test_maps_are_in_full_precision_whatever_the_settings_say(world: World) -> None:
    plain, half = (process(world, precision=precision)[0] for precision in ("float32", "bfloat16"))
    assert plain["maps"].equals(half["maps"])
    assert repr(plain["boxes"].to_pydict()) == repr(half["boxes"].to_pydict())  # which takes NaN for NaN


def test_an_unreadable_image_costs_itself(world: World) -> None:
    parts, _ = process(world, bad="/5.png", batch_size=8)
    whole, _ = process(world, batch_size=8)
    assert parts["boxes"].column("status").to_pylist() == ["unreadable" if i == 5 else "ok" for i in range(8)]
    assert [len(values) for values in parts["maps"].column("values").to_pylist()] == [9, 0, 9, 9]
    others = [i for i in range(8) if i != 5]
    np.testing.assert_array_equal(boxes_array(parts["boxes"])[others], boxes_array(whole["boxes"])[others])


def test_a_class_without_test_images_has_an_empty_part_of_maps(world: World) -> None:
    worker = ClassMapWorker("cam", 0.2, InferenceSettings(), MODEL, Resources(1))
    images = world.catalog.slice(0, 2)
    parts = worker.process(Task("part", images, [__file__] * 2, lambda _: None))
    assert len(parts["maps"]) == 0
    assert parts["boxes"].column("status").to_pylist() == ["unreadable"] * 2


@pytest.mark.parametrize("method", ["cam", "grad_cam"])
def test_two_classes_at_once_are_those_of_one_after_the_other(world: World, method: Any) -> None:
    worker = ClassMapWorker(method, 0.2, InferenceSettings(batch_size=2), MODEL, Resources(1))
    paths = image_addresses(str(world.root), world.catalog)
    tasks = [Task(f"part-{i}", world.catalog.slice(i, 5), paths[i : i + 5], lambda _: None) for i in (0, 3)]

    def process_one(task: Task) -> str:
        return repr([table.to_pydict() for table in worker.process(task).values()])  # which takes NaN for NaN

    alone = [process_one(task) for task in tasks]
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(process_one, tasks * 4)) == alone * 4
