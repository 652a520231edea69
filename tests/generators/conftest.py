"""What generators need of a run: a catalog, and files of networks and boxes."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from synthetic.fixtures import one_thread, pillow_alone
from synthetic.images import write_squares
from synthetic.networks import file_of
from synthetic.tables import catalog_of, image

from psol_ray.config import BoxesConfig
from psol_ray.generators.base import Generator
from psol_ray.generators.class_maps.settings import ClassMapSettings
from psol_ray.generators.imported.settings import ImportedSettings
from psol_ray.generators.localizer.settings import LocalizerSettings
from psol_ray.generators.registry import find_generator
from psol_ray.tables import CATALOG, Provenance, RunDir

__all__ = ["CENTRE", "World", "one_thread", "pillow", "world"]

CENTRE = [0.25, 0.25, 0.5, 0.5]


@pytest.fixture(scope="package")
def pillow() -> Iterator[None]:
    with pillow_alone():
        yield


@dataclass(frozen=True)
class World:
    """A run of two classes of which there is a catalog alone, and what each method would need beside it."""

    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)
    """By method: the sections of `boxes` that name its files."""

    @property
    def root(self) -> Path:
        return self.folder / "images"

    @property
    def run(self) -> RunDir:
        return RunDir(str(self.folder / "run"))

    @property
    def catalog(self) -> pa.Table:
        return self.run.stage("catalog").read(CATALOG)

    def config(self, method: str, **changes: Any) -> BoxesConfig:
        """The section `boxes` with which the method could draw boxes."""
        return BoxesConfig(**{"method": method, **self.settings.get(method, {}), **changes})

    def generator(self, method: str, **changes: Any) -> Generator:
        return find_generator(self.config(method, **changes), self.run)


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Eight images, `0.png` to `7.png`, even ones of class 0; the last two of each class are of the test split."""
    world = World(tmp_path_factory.mktemp("generators"))
    world.root.mkdir()
    sizes, squares = write_squares(world.root, 8)
    rows = [
        image(
            f"{i}.png",
            [square],
            label=i % 2,
            class_name=("dark" if i % 2 else "bright"),
            split="train" if i < 4 else "test",
            width=size[0],
            height=size[1],
        )
        for i, (size, square) in enumerate(zip(sizes, squares, strict=True))
    ]
    made_by = Provenance("catalog", {}, {})
    stage = world.run.stage("catalog")
    stage.begin(made_by, overwrite=False)
    stage.write_part("part", catalog_of(*rows), made_by)
    stage.complete(made_by)

    classifier, localizer = world.folder / "classifier.safetensors", world.folder / "localizer.safetensors"
    classifier.write_bytes(file_of([], 2, backbone="test_resnet", input_size=32))
    localizer.write_bytes(file_of([CENTRE], input_size=32))
    imported = world.folder / "imported"
    imported.mkdir()
    lines = [f"{i}.png,{','.join(map(str, square))}" for i, square in enumerate(squares)]
    (imported / "boxes.csv").write_text("\n".join(["image_id,x0,y0,x1,y1", *lines]) + "\n")

    maps = {"class_maps": ClassMapSettings(classifier=str(classifier))}
    world.settings.update(
        ddt={"backbone": "test_resnet", "weights": "random", "input_size": 64, "precision": "float32"},
        cam=maps,
        grad_cam=maps,
        localizer={"localizer": LocalizerSettings(path=str(localizer)), "precision": "float32"},
        imported={"imported": ImportedSettings(path=str(imported))},
    )
    return world
