"""What a generator of pseudo boxes is: settings, what they depend on, jobs, and a worker. None knows who runs them."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pyarrow as pa

from psol_ray.generators.settings import InferenceSettings
from psol_ray.tables import RunDir
from psol_ray.training.settings import ModelName, TrainConfig
from psol_ray.work.jobs import Job, WorkerFactory

__all__ = ["Generator"]


class Generator(ABC):
    """Draws the pseudo boxes of a run. Making one reads nothing and loads nothing."""

    title: ClassVar[str]
    """Who drew the boxes, in words: `DDT`. Kept in the boxes' provenance, where page and tables find it."""
    concurrency: ClassVar[int] = 1
    """Classes that a worker may be given at once, each in a thread."""
    in_driver: ClassVar[bool] = False
    """Whether its worker runs where the command runs, because it opens no image and has nothing to compute."""

    def __init__(self, settings: Any, inference: InferenceSettings, run: RunDir) -> None:
        """Args:
        settings: of the generator's own dataclass.
        inference: how its network runs.
        run: whose boxes it draws.
        """
        self._settings, self._inference, self._run = settings, inference, run

    def needs(self) -> Sequence[ModelName]:
        """This run's networks that must be trained before."""
        return ()

    def check(self, _recipes: Mapping[ModelName, TrainConfig], /) -> None:  # noqa: B027
        """Look for what cannot be right before hours are spent on what comes before the boxes.

        Args:
            _recipes: how this run trains its networks.

        Raises:
            UserError: the settings cannot be right.
        """

    @abstractmethod
    def depends_on(self) -> dict[str, Any]:
        """All that the boxes depend on beside the catalog and what `needs` names: settings by name, hashes of weights.

        Loads no torch: it is asked also where everything is complete.

        Raises:
            UserError: what the settings name cannot be had.
        """

    def other_tables(self, _boxes: Mapping[str, Any], /) -> Mapping[str, Mapping[str, Any]]:
        """Tables that its worker returns a part of beside each part of the boxes, and what each depends on.

        Args:
            _boxes: what the boxes depend on.
        """
        return {}

    def paper_row(self, _boxes: Mapping[str, Any], /) -> Mapping[str, str] | None:
        """How a row of the paper's Table 1 names the boxes beside `title`: `backbone`, and a `note` on how it was used.

        Args:
            _boxes: what the boxes depend on.

        Returns:
            None where that table has no place for such boxes.
        """
        return None

    @abstractmethod
    def worker_factory(self) -> WorkerFactory:
        """Reads weights and makes what makes a worker anywhere.

        Raises:
            UserError: what the settings name cannot be had, or is of no use for this run.
        """

    def jobs(self, part: str, images: pa.Table, _fair_share: float, /) -> Sequence[Job]:
        """The jobs with which a class begins; the last one writes its parts.

        Args:
            part: name of the class's part.
            images: its catalog rows, training images first, without ground truth.
            _fair_share: images a worker, were all equally busy.
        """
        return [Job(part, images)]
