"""An earlier localizer as a generator: what its boxes depend on, what is refused, and the boxes that it draws."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic.networks import file_of

from psol_ray.errors import UserError
from psol_ray.generators.base import Generator
from psol_ray.generators.localizer.settings import LocalizerSettings
from psol_ray.models.weights_id import hash_bytes
from psol_ray.storage.addresses import image_addresses
from psol_ray.tables import BOXES
from psol_ray.tables.boxes_table import image_sizes
from psol_ray.tables.schemas import boxes_array
from psol_ray.work.jobs import Parts, Resources, Task

from ..conftest import CENTRE, World

pytestmark = pytest.mark.usefixtures("pillow")

CORNER = [0.5, 0.5, 0.25, 0.25]


def generator_of(world: World, path: Path | None, **changes: Any) -> Generator:
    settings = LocalizerSettings(path=None if path is None else str(path))
    return world.generator("localizer", localizer=settings, **changes)


def localizer_of(world: World) -> Path:
    return world.folder / "localizer.safetensors"


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_boxes_depend_on_the_network_and_its_precision_and_not_on_where_the_file_lies(
    world: World, tmp_path: Path
) -> None:
    path = localizer_of(world)
    found = generator_of(world, path).depends_on()
    assert found == {
        "network": {"backbone": "test_efficientnet", "input_size": 32, "num_boxes": 1, "num_classes": None},
        "weights_hash": hash_bytes(path.read_bytes()),
        "precision": "float32",
    }
    assert generator_of(world, Path(shutil.copy(path, tmp_path / "copy"))).depends_on() == found
    assert generator_of(world, path, precision="bfloat16").depends_on() == {**found, "precision": "bfloat16"}
    other = generator_of(world, written(tmp_path / "other", file_of([CORNER], input_size=32))).depends_on()
    assert other["weights_hash"] != found["weights_hash"]
    assert other["network"] == found["network"]


def test_needs_nothing_of_the_run(world: World) -> None:
    generator = generator_of(world, localizer_of(world))
    generator.check({})
    assert generator.needs() == ()
    assert generator.other_tables({}) == {}
    assert not generator.in_driver
    assert generator.concurrency == 2


EXPECTED = "expected a model.safetensors of `psol train localizer`, or of `psol train joint`"


def complaint_of(generator: Generator) -> str:
    with pytest.raises(UserError) as complaint:
        generator.depends_on()
    return str(complaint.value)


def test_without_a_path_there_is_no_localizer(world: World) -> None:
    assert complaint_of(generator_of(world, None)) == f"boxes.localizer.path: found none, {EXPECTED}; give its path"


def test_a_file_that_is_not_there_is_told(world: World, tmp_path: Path) -> None:
    path = tmp_path / "none"
    told = f"boxes.localizer.path: found no file '{path}', {EXPECTED}; fix the path"
    assert complaint_of(generator_of(world, path)) == told


@pytest.mark.parametrize(
    ("data", "told"),
    [
        pytest.param(b"a photograph, say", "found a file of another program; expected a model", id="foreign"),
        pytest.param(
            file_of([], 2, input_size=32),
            f"found a classifier, which predicts no boxes, {EXPECTED}; give one",
            id="boxless",
        ),
        pytest.param(
            file_of([CENTRE, CORNER], input_size=32),
            "found a localizer with a box for each of 2 classes and nothing to tell the class by, expected one box an"
            " image; give a localizer of regression single, or a joint network, which knows classes",
            id="a box for each class",
        ),
    ],
)
def test_a_network_of_no_use_is_told(world: World, tmp_path: Path, data: bytes, told: str) -> None:
    path = written(tmp_path / "model", data)
    assert complaint_of(generator_of(world, path)).startswith(f"boxes.localizer.path: '{path}': {told}")


def test_a_file_that_is_cut_short_is_told_before_any_worker_is_made(world: World, tmp_path: Path) -> None:
    generator = generator_of(world, written(tmp_path / "model", localizer_of(world).read_bytes()[:-9]))
    generator.depends_on()
    with pytest.raises(UserError, match=r"^boxes.localizer.path: '.*/model': found a file that is not whole \("):
        generator.worker_factory()


def process(generator: Generator, world: World, bad: str = "") -> tuple[Parts, list[int]]:
    worker = generator.worker_factory()(Resources(1))
    done: list[int] = []
    paths = [
        __file__ if bad and path.endswith(bad) else path for path in image_addresses(str(world.root), world.catalog)
    ]
    return worker.process(Task("part", world.catalog, paths, done.append)), done


def test_its_boxes_are_what_the_network_says_in_pixels_of_each_image(world: World) -> None:
    parts, done = process(generator_of(world, localizer_of(world), batch_size=3), world, bad="/2.png")
    assert isinstance(parts, Parts)
    assert parts.keys() == {"boxes"}
    table = parts["boxes"]
    assert table.schema == BOXES
    assert done == [3, 6, 8]
    assert table.column("status").to_pylist() == ["unreadable" if i == 2 else "ok" for i in range(8)]
    expected_N4 = np.tile(image_sizes(world.catalog), 2) * [0.25, 0.25, 0.75, 0.75]
    expected_N4[2] = np.nan
    np.testing.assert_allclose(boxes_array(table), expected_N4, rtol=1e-5)


def test_of_a_joint_network_s_boxes_it_is_that_of_the_class_that_the_network_puts_first(
    world: World, tmp_path: Path
) -> None:
    from psol_ray.models.saved import SavedNetwork

    saved, network = SavedNetwork.from_bytes(file_of([CENTRE, CORNER], 2, input_size=32))
    network.heads.classes.weight.data.zero_()
    network.heads.classes.bias.data[:] = network.heads.classes.bias.new_tensor([-1.0, 1.0])
    path = written(tmp_path / "joint", saved.to_bytes(network, {}))
    parts, _ = process(generator_of(world, path), world)
    expected_N4 = np.tile(image_sizes(world.catalog), 2) * [0.5, 0.5, 0.75, 0.75]
    np.testing.assert_allclose(boxes_array(parts["boxes"]), expected_N4, rtol=1e-5)
