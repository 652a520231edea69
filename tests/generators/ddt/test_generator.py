"""DDT as a generator: what its boxes depend on, what is refused, and that large classes are split."""

from pathlib import Path
from typing import Any

import pytest
from synthetic.tables import class_images

from psol_ray.errors import UserError
from psol_ray.generators.ddt.worker import DdtWorker
from psol_ray.models.weights_id import hash_bytes
from psol_ray.work.jobs import Resources

from ..conftest import World

DEPENDS_ON = {
    "backbone": "test_resnet",
    "weights": "random",
    "input_size": 64,
    "upsample": "bilinear",
    "precision": "float32",
}


@pytest.mark.parametrize(
    "changes",
    [{"backbone": "vgg16"}, {"weights": "default"}, {"input_size": 96}, {"upsample": "nearest"}, {"precision": "auto"}],
    ids=lambda changes: next(iter(changes)),
)
def test_boxes_depend_on_the_network_its_input_and_how_heat_becomes_a_box(
    world: World, changes: dict[str, Any]
) -> None:
    assert world.generator("ddt").depends_on() == DEPENDS_ON
    assert world.generator("ddt", **changes).depends_on() == {**DEPENDS_ON, **changes}


def test_a_file_of_weights_is_known_by_its_content(world: World, tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(b"weights")
    found = world.generator("ddt", weights=str(tmp_path / "w.pth")).depends_on()
    assert found == {**DEPENDS_ON, "weights": hash_bytes(b"weights")}


def test_an_unknown_backbone_is_told_before_anything_is_read(world: World) -> None:
    world.generator("ddt").check({})
    with pytest.raises(UserError, match=r"^boxes\.backbone: .*'vgg61' is unknown"):
        world.generator("ddt", backbone="vgg61").check({})


def test_weights_that_cannot_be_had_are_told_before_a_worker_is_made(world: World, tmp_path: Path) -> None:
    generator = world.generator("ddt", weights=str(tmp_path / "none.pth"))
    for ask in (generator.depends_on, generator.worker_factory):
        with pytest.raises(UserError, match=r"none\.pth': no such file"):
            ask()


def test_needs_nothing_of_the_run_and_takes_two_classes_at_once(world: World) -> None:
    generator = world.generator("ddt")
    assert generator.needs() == ()
    assert generator.other_tables({}) == {"heat": {}}
    assert generator.concurrency == 3


@pytest.mark.parametrize(("fair_share", "methods"), [(200, ["process"]), (100, ["measure", "measure"])])
def test_a_class_much_larger_than_its_fair_share_is_split(world: World, fair_share: float, methods: list[str]) -> None:
    jobs = world.generator("ddt").jobs("part-zero", class_images(["train"] * 200), fair_share)
    assert [job.method for job in jobs] == methods
    assert all(hasattr(DdtWorker, job.method) for job in jobs)


@pytest.mark.usefixtures("pillow")
def test_its_worker_has_its_settings(world: World) -> None:
    worker = world.generator("ddt", memory_gb=0.3).worker_factory()(Resources(1))
    assert isinstance(worker, DdtWorker)
    assert worker._settings.input_size == 64
    assert worker._max_bytes == pytest.approx(1e8)
    worker.close()
