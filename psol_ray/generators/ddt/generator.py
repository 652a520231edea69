"""Deep Descriptor Transformation as a generator (Sec. 3.2.1)."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pyarrow as pa

from psol_ray.generators.base import Generator
from psol_ray.generators.ddt.settings import DdtSettings
from psol_ray.models.lookup import backbone_of
from psol_ray.models.weights_id import identify_weights
from psol_ray.training.settings import ModelName, TrainConfig
from psol_ray.work.jobs import Job, WorkerFactory

__all__ = ["Ddt"]


class Ddt(Generator):
    """The direction that a class's features share, and a box around where each image goes along it."""

    title = "DDT"
    # One is read, of one the component is found and boxes are drawn, which takes a GPU's worker longer than to read the
    # next, and a third is there to be read meanwhile.
    concurrency = 3
    _settings: DdtSettings

    def check(self, _recipes: Mapping[ModelName, TrainConfig], /) -> None:
        """See `Generator.check`."""
        self._check_map()

    def depends_on(self) -> dict[str, Any]:
        """See `Generator.depends_on`."""
        settings = self._settings
        return {
            "backbone": settings.backbone,
            "weights": identify_weights(settings.weights),
            "input_size": settings.input_size,
            "upsample": settings.upsample,
            "precision": self._inference.precision,
        }

    def other_tables(self, boxes: Mapping[str, Any], /) -> Mapping[str, Mapping[str, Any]]:
        """See `Generator.other_tables`: the heat that each box was drawn around, for the page."""
        return {"heat": dict(boxes)}

    def paper_row(self, boxes: Mapping[str, Any], /) -> Mapping[str, str]:
        """See `Generator.paper_row`."""
        return {"backbone": boxes["backbone"], "note": f"{boxes['input_size']} pixels, {boxes['upsample']}"}

    def worker_factory(self) -> WorkerFactory:
        """See `Generator.worker_factory`."""
        # Late: whoever finds the boxes complete needs no torch.
        from psol_ray.generators.ddt.worker import DdtWorker
        from psol_ray.models.weights import load_state

        settings = self._settings
        self._check_map()
        state = load_state(backbone_of("boxes", settings.backbone), settings.weights, for_features=True)
        return partial(DdtWorker, settings, self._inference, state)

    def _check_map(self) -> None:
        from psol_ray.models.trial import check_map

        check_map("boxes", self._settings.backbone, self._settings.input_size)

    def jobs(self, part: str, images: pa.Table, fair_share: float, /) -> Sequence[Job]:
        """See `Generator.jobs`; a class much larger than its fair share is split among workers."""
        from psol_ray.generators.ddt.split import jobs_of_class

        return jobs_of_class(part, images, fair_share)
