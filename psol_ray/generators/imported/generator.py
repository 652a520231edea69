"""Boxes that another project has drawn (method imported), as this run's pseudo boxes."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from psol_ray.errors import UserError
from psol_ray.formats.matching import hash_boxes, read_boxes, source_path
from psol_ray.generators.base import Generator
from psol_ray.generators.imported.settings import ImportedSettings
from psol_ray.tables import CATALOG
from psol_ray.training.settings import ModelName, TrainConfig
from psol_ray.work.jobs import Parts, Resources, Task, WorkerFactory

__all__ = ["Imported"]

_SETTING = "boxes.imported.path"


class Imported(Generator):
    """Somebody's boxes of all images of one split or of both; what is malformed leaves no trace."""

    title = "imported box"
    in_driver = True
    _settings: ImportedSettings
    _boxes: pa.Table | None = None

    def check(self, _recipes: Mapping[ModelName, TrainConfig], /) -> None:
        """See `Generator.check`."""
        source_path(_SETTING, self._path, self._settings.format)

    def depends_on(self) -> dict[str, Any]:
        """See `Generator.depends_on`: what the boxes are, not where they lie."""
        threshold = {"threshold": self._settings.threshold} if self._settings.format == "wsol_maps" else {}
        return {"format": self._settings.format, "boxes_hash": hash_boxes(self._read()), **threshold}

    def worker_factory(self) -> WorkerFactory:
        """See `Generator.worker_factory`."""
        return partial(_ImportWorker, self._read())

    def _read(self) -> pa.Table:
        if self._boxes is None:
            catalog = self._run.stage("catalog").read(CATALOG)
            settings = self._settings
            self._boxes = read_boxes(settings.format, self._path, catalog, settings.threshold, settings.coordinates)
        return self._boxes

    @property
    def _path(self) -> str:
        if self._settings.path is None:
            raise UserError(f"{_SETTING}: found none, expected the folder that holds the boxes; give its path")
        return self._settings.path


class _ImportWorker:
    """Picks each class's rows."""

    def __init__(self, boxes: pa.Table, _resources: Resources) -> None:
        # By class: to look among all boxes for those of each would take ten minutes of a million in a thousand classes.
        self._boxes = boxes.sort_by("label").combine_chunks()
        self._labels = self._boxes.column("label").to_numpy()

    def process(self, task: Task) -> Parts:
        """The boxes of a class; none for a split that has none."""
        ends = pc.min_max(task.images.column("label")).as_py()
        first = np.searchsorted(self._labels, ends["min"], "left")
        boxes = self._boxes.slice(first, np.searchsorted(self._labels, ends["max"], "right") - first)
        rows = pc.index_in(task.images.column("image_id"), value_set=boxes.column("image_id").combine_chunks())
        task.progress(len(task.images))
        return Parts(boxes=boxes.take(rows.drop_null()))
