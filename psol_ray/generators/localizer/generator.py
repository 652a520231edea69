"""Boxes by an earlier run's localizer (method localizer), for the next one to learn from."""

from dataclasses import asdict
from functools import partial
from typing import Any

from psol_ray.errors import UserError
from psol_ray.generators.base import Generator
from psol_ray.generators.localizer.settings import LocalizerSettings
from psol_ray.models.saved import NetworkFile
from psol_ray.work.jobs import WorkerFactory

__all__ = ["Localizer"]

_SETTING = "boxes.localizer.path"
_EXPECTED = "expected a model.safetensors of `psol train localizer`, or of `psol train joint`"


class Localizer(Generator):
    """Boxes as `psol predict` finds them: whole images, squashed to the network's input."""

    title = "earlier localizer"
    concurrency = 2
    _settings: LocalizerSettings

    def depends_on(self) -> dict[str, Any]:
        """See `Generator.depends_on`. Not where the file lies."""
        file = self._file()
        saved = file.saved
        if not saved.num_boxes:
            raise UserError(
                f"{file.where}: found a classifier, which predicts no boxes, {_EXPECTED}; give one of those"
            )
        if saved.num_boxes > 1 and saved.num_classes is None:
            raise UserError(
                f"{file.where}: found a localizer with a box for each of {saved.num_boxes} classes and nothing to tell"
                " the class by, expected one box an image; give a localizer of regression single, or a joint network,"
                " which knows classes"
            )
        return {"network": asdict(saved), "weights_hash": file.hash, "precision": self._inference.precision}

    def worker_factory(self) -> WorkerFactory:
        """See `Generator.worker_factory`."""
        # Late: whoever finds the boxes complete needs no torch.
        from psol_ray.generators.localizer.worker import LocalizerWorker
        from psol_ray.prediction.networks import TrainedNetwork
        from psol_ray.prediction.views import View

        file = self._file()
        file.load()  # a file that is cut short is found here, and not by every worker
        view = View.make("whole", file.saved.input_size, crop_share=1)
        localizer = TrainedNetwork(file.data, view)
        # Of a box for each class, the network, which knows classes, chooses.
        classifiers = [localizer] if file.saved.num_boxes > 1 else []
        return partial(LocalizerWorker, localizer, classifiers, self._inference)

    def _file(self) -> NetworkFile:
        if self._settings.path is None:
            raise UserError(f"{_SETTING}: found none, {_EXPECTED}; give its path")
        return NetworkFile.read(_SETTING, self._settings.path, _EXPECTED)
