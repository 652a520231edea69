"""Class maps as a generator: which classifier, what boxes and maps depend on, and what is refused."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from synthetic.networks import file_of

from psol_ray.errors import UserError
from psol_ray.generators.base import Generator
from psol_ray.generators.class_maps.settings import ClassMapSettings
from psol_ray.models.weights_id import hash_bytes
from psol_ray.tables import RunDir
from psol_ray.training.settings import TrainConfig

from ..conftest import World

EXPECTED = "expected a model.safetensors of `psol train classifier`, or of `psol train joint`"


def generator_of(world: World, path: Path | None, method: str = "cam", **settings: Any) -> Generator:
    return world.generator(
        method, class_maps=ClassMapSettings(classifier=None if path is None else str(path), **settings)
    )


def classifier_of(world: World) -> Path:
    return world.folder / "classifier.safetensors"


def written(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@pytest.fixture
def other_run(world: World, tmp_path: Path) -> World:
    """A run of the same images that a test may add to."""
    shutil.copytree(world.folder / "run", tmp_path / "run")
    return World(tmp_path)


@pytest.mark.parametrize("method", ["cam", "grad_cam"])
def test_boxes_depend_on_the_classifier_and_the_threshold(world: World, tmp_path: Path, method: str) -> None:
    path = classifier_of(world)
    found = generator_of(world, path, method).depends_on()
    assert found == {
        "threshold": 0.2,
        "classifier": {"backbone": "test_resnet", "input_size": 32, "num_boxes": 0, "num_classes": 2},
        "weights_hash": hash_bytes(path.read_bytes()),
    }
    assert generator_of(world, Path(shutil.copy(path, tmp_path / "copy")), method).depends_on() == found
    assert generator_of(world, path, method, threshold=0.4).depends_on() == {**found, "threshold": 0.4}


def test_maps_are_the_same_at_any_threshold(world: World) -> None:
    generator = generator_of(world, classifier_of(world))
    boxes = {"method": "cam", **generator.depends_on()}
    maps = generator.other_tables(boxes)
    assert maps == {"maps": {name: value for name, value in boxes.items() if name != "threshold"}}
    assert generator.other_tables({**boxes, "threshold": 0.9}) == maps
    assert generator.other_tables({**boxes, "method": "grad_cam"}) != maps


def test_without_a_file_it_is_this_run_s_classifier(world: World, other_run: World) -> None:
    assert generator_of(world, classifier_of(world)).needs() == ()
    generator = generator_of(other_run, None)
    assert generator.needs() == ("classifier",)
    with pytest.raises(UserError) as complaint:
        generator.depends_on()
    where = f"{other_run.folder}/run/classifier"
    assert str(complaint.value) == f"{where}: found no model.safetensors; run `psol train classifier --overwrite`"
    shutil.copy(classifier_of(world), written(Path(where) / "model.safetensors", b""))
    assert generator.depends_on() == generator_of(world, classifier_of(world)).depends_on()


def test_a_joint_network_knows_classes_too(world: World, tmp_path: Path) -> None:
    path = written(tmp_path / "joint", file_of([[0.25, 0.25, 0.5, 0.5]], 2, backbone="test_resnet", input_size=32))
    generator = generator_of(world, path)
    assert generator.depends_on()["classifier"]["num_boxes"] == 1
    assert generator.worker_factory()


@pytest.mark.parametrize(
    ("data", "told"),
    [
        pytest.param(b"a photograph, say", "found a file of another program; expected a model", id="foreign"),
        pytest.param(
            file_of([[0.25, 0.25, 0.5, 0.5]], input_size=32),
            f"found a localizer, which predicts no classes, {EXPECTED}; give one of those",
            id="localizer",
        ),
        pytest.param(
            file_of([], 3, input_size=32),
            "found a classifier of 3 classes, expected one of the catalog's 2; give one that was trained on the same",
            id="other classes",
        ),
    ],
)
def test_a_network_of_no_use_is_told(world: World, tmp_path: Path, data: bytes, told: str) -> None:
    path = written(tmp_path / "model", data)
    with pytest.raises(UserError) as complaint:
        generator_of(world, path).depends_on()
    assert str(complaint.value).startswith(f"boxes.class_maps.classifier: '{path}': {told}")


def test_a_file_that_is_not_there_is_told(world: World, tmp_path: Path) -> None:
    with pytest.raises(UserError) as complaint:
        generator_of(world, tmp_path / "none").depends_on()
    told = f"boxes.class_maps.classifier: found no file '{tmp_path}/none', {EXPECTED}; fix the path"
    assert str(complaint.value) == told


def test_a_file_that_is_cut_short_is_told_before_any_worker_is_made(world: World, tmp_path: Path) -> None:
    generator = generator_of(world, written(tmp_path / "model", classifier_of(world).read_bytes()[:-9]))
    generator.depends_on()
    with pytest.raises(UserError, match=r"^boxes\.class_maps\.classifier: '.*/model': found a file that is not whole"):
        generator.worker_factory()


@pytest.mark.parametrize(
    ("method", "backbone", "told"),
    [
        pytest.param("cam", "mobilenetv3_small_050", "layers between its last map and the class head", id="no CAM"),
        pytest.param("grad_cam", "test_vit", "found no feature map behind which only the classifier", id="no map"),
    ],
)
def test_a_classifier_without_such_maps_is_told_before_it_is_trained_and_before_a_worker_is_made(
    world: World, tmp_path: Path, method: str, backbone: str, told: str
) -> None:
    recipes = {"classifier": TrainConfig(backbone=backbone)}
    with pytest.raises(UserError, match=rf"^boxes\.method {method}: backbone '{backbone}': .*{told}"):
        generator_of(world, None, method).check(recipes)  # type: ignore[arg-type]
    # Of another's file the recipe says nothing.
    size = 160 if backbone == "test_vit" else 32
    path = written(tmp_path / "model", file_of([], 2, backbone=backbone, input_size=size))
    generator = generator_of(world, path, method)
    generator.check(recipes)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=rf"^boxes\.method {method}: backbone '{backbone}': .*{told}"):
        generator.worker_factory()


def test_an_unknown_backbone_of_the_classifier_to_be_trained_is_told(world: World) -> None:
    with pytest.raises(UserError, match=r"^classifier\.backbone: .*'resnet5O' is unknown"):
        generator_of(world, None).check({"classifier": TrainConfig(backbone="resnet5O")})


def test_a_classifier_to_be_trained_that_has_maps_passes(world: World) -> None:
    generator_of(world, None).check({"classifier": TrainConfig(backbone="test_resnet", input_size=32)})


def test_a_run_without_a_catalog_is_told(tmp_path: Path, world: World) -> None:
    generator = generator_of(world, classifier_of(world))
    generator._run = RunDir(str(tmp_path))
    with pytest.raises(UserError, match="found no complete catalog; run `psol index` first"):
        generator.depends_on()
