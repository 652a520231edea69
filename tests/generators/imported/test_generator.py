"""Another project's boxes as a generator: what they depend on, what is refused, and each class's rows."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from psol_ray.errors import UserError
from psol_ray.generators.base import Generator
from psol_ray.generators.imported.settings import ImportedSettings
from psol_ray.tables import BOXES
from psol_ray.tables.schemas import boxes_array
from psol_ray.work.jobs import Parts, Resources, Task

from ..conftest import World


def folder_of(world: World) -> Path:
    return world.folder / "imported"


def generator_of(world: World, **settings: Any) -> Generator:
    return world.generator("imported", imported=ImportedSettings(**{"path": str(folder_of(world)), **settings}))


def test_boxes_depend_on_what_they_are_and_not_on_where_they_lie(world: World, tmp_path: Path) -> None:
    shutil.copytree(folder_of(world), tmp_path / "copy")
    found = generator_of(world).depends_on()
    assert found.keys() == {"format", "boxes_hash"}
    assert found["format"] == "csv"
    assert generator_of(world, path=str(tmp_path / "copy")).depends_on() == found
    # A threshold is of score maps alone.
    assert generator_of(world, threshold=0.9).depends_on() == found
    path = tmp_path / "copy" / "boxes.csv"
    lines = path.read_text().splitlines()
    assert lines[1].startswith("0.png,")
    path.write_text("\n".join([lines[0], "0.png,0,0,1,1", *lines[2:]]) + "\n")
    assert generator_of(world, path=str(tmp_path / "copy")).depends_on()["boxes_hash"] != found["boxes_hash"]


def test_a_box_s_place_in_the_file_plays_no_part(world: World, tmp_path: Path) -> None:
    first, *lines = (folder_of(world) / "boxes.csv").read_text().splitlines()
    (tmp_path / "boxes.csv").write_text("\n".join([first, *reversed(lines)]) + "\n")
    assert generator_of(world, path=str(tmp_path)).depends_on() == generator_of(world).depends_on()


def test_without_a_path_there_is_nothing_to_import(world: World) -> None:
    generator = generator_of(world, path=None)
    for ask in (generator.depends_on, generator.worker_factory, lambda: generator.check({})):
        with pytest.raises(UserError) as complaint:
            ask()
        assert str(complaint.value) == (
            "boxes.imported.path: found none, expected the folder that holds the boxes; give its path"
        )


@pytest.mark.parametrize("path", ["/no/such/folder", "s3://bucket/boxes"])
def test_a_folder_that_is_not_there_is_told_at_once(world: World, path: str) -> None:
    generator = generator_of(world, path=path)
    for ask in (generator.depends_on, lambda: generator.check({})):
        with pytest.raises(UserError, match=f"^boxes.imported.path: found no folder '{path}' on this machine"):
            ask()


def test_what_does_not_fit_the_catalog_is_refused_before_a_worker_is_made(world: World, tmp_path: Path) -> None:
    (tmp_path / "boxes.csv").write_text("image_id,x0,y0,x1,y1\n0.png,0,0,1,1\n")
    generator = generator_of(world, path=str(tmp_path))
    generator.check({})
    with pytest.raises(UserError, match=r"3 images \(1.png, 2.png, 3.png\) of 4 train images without a box"):
        generator.worker_factory()


def test_needs_nothing_of_the_run_and_runs_in_the_driver(world: World) -> None:
    generator = generator_of(world)
    assert generator.needs() == ()
    assert generator.other_tables({}) == {}
    assert generator.in_driver
    (job,) = generator.jobs("part-dark", world.catalog, 1.0)
    assert (job.name, job.method, job.cost) == ("part-dark", "process", 8)


def test_the_worker_picks_the_rows_of_a_class_in_its_order(world: World) -> None:
    worker = generator_of(world).worker_factory()(Resources(1))
    rows = world.catalog.take([7, 1, 3])
    done: list[int] = []
    found = worker.process(Task("part-dark", rows, [], done.append))
    assert isinstance(found, Parts)
    assert found.keys() == {"boxes"}
    assert found["boxes"].schema == BOXES
    assert found["boxes"].column("image_id").to_pylist() == ["7.png", "1.png", "3.png"]
    assert boxes_array(found["boxes"]).tolist() == [boxes[0] for boxes in rows.column("gt_boxes").to_pylist()]
    assert done == [3]


def test_of_a_split_without_boxes_there_are_no_rows(world: World, tmp_path: Path) -> None:
    lines = (folder_of(world) / "boxes.csv").read_text().splitlines()
    (tmp_path / "boxes.csv").write_text("\n".join(lines[:5]) + "\n")  # the training images
    worker = generator_of(world, path=str(tmp_path)).worker_factory()(Resources(1))
    table = worker.process(Task("part-dark", world.catalog.take([5, 1, 3, 7]), [], lambda _: None))["boxes"]
    assert table.column("image_id").to_pylist() == ["1.png", "3.png"]
