"""Boxes from class maps (methods cam and grad_cam): what a classifier has learned of places, to compare with."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any, ClassVar

import pyarrow.compute as pc

from psol_ray.errors import UserError
from psol_ray.generators.base import Generator
from psol_ray.generators.class_maps.settings import ClassMapSettings
from psol_ray.models.lookup import backbone_of
from psol_ray.models.saved import NetworkFile, SavedNetwork
from psol_ray.tables import CATALOG, RunDir
from psol_ray.tables.file_names import MODEL_FILE
from psol_ray.training.settings import ModelName, TrainConfig
from psol_ray.work.jobs import WorkerFactory

__all__ = ["Cam", "GradCam"]

_EXPECTED = "expected a model.safetensors of `psol train classifier`, or of `psol train joint`"


class _ClassMaps(Generator):
    """Boxes around what is high in a trained classifier's map of the image's label; whole images, squashed."""

    concurrency = 2
    _method: ClassVar[Any]
    _settings: ClassMapSettings

    def needs(self) -> Sequence[ModelName]:
        """See `Generator.needs`."""
        return ("classifier",) if self._settings.classifier is None else ()

    def check(self, recipes: Mapping[ModelName, TrainConfig], /) -> None:
        """See `Generator.check`: looks whether the classifier that is to be trained will have such maps."""
        if self._settings.classifier is None:
            recipe = recipes["classifier"]
            backbone = backbone_of("classifier", recipe.backbone)
            self._check_maps(SavedNetwork(backbone.name, recipe.input_size or backbone.input_size, 0, num_classes=2))

    def depends_on(self) -> dict[str, Any]:
        """See `Generator.depends_on`. Not where the classifier's file lies."""
        file = self._file()
        _check_classes(self._run, file)
        return {"threshold": self._settings.threshold, "classifier": asdict(file.saved), "weights_hash": file.hash}

    def other_tables(self, boxes: Mapping[str, Any], /) -> Mapping[str, Mapping[str, Any]]:
        """See `Generator.other_tables`: maps of another threshold's boxes are the same."""
        return {"maps": {name: value for name, value in boxes.items() if name != "threshold"}}

    def paper_row(self, boxes: Mapping[str, Any], /) -> Mapping[str, str]:
        """See `Generator.paper_row`."""
        classifier = boxes["classifier"]
        note = f"{classifier['input_size']} pixels, threshold {boxes['threshold']}"
        return {"backbone": classifier["backbone"], "note": note}

    def worker_factory(self) -> WorkerFactory:
        """See `Generator.worker_factory`."""
        # Late: whoever finds the boxes complete needs no torch.
        from psol_ray.generators.class_maps.worker import ClassMapWorker

        file = self._file()
        self._check_maps(file.saved, file)
        return partial(ClassMapWorker, self._method, self._settings.threshold, self._inference, file.data)

    def _file(self) -> NetworkFile:
        if self._settings.classifier is not None:
            return NetworkFile.read("boxes.class_maps.classifier", self._settings.classifier, _EXPECTED)
        remedy = "; run `psol train classifier --overwrite`"
        return NetworkFile.of_stage(self._run.stage("classifier"), MODEL_FILE, _EXPECTED, remedy)

    def _check_maps(self, saved: SavedNetwork, file: NetworkFile | None = None) -> None:
        """Raise a UserError where the network has no such maps; without a file its weights are random."""
        from psol_ray.generators.class_maps.maps import ActivationMaps

        try:
            ActivationMaps(saved, saved.build() if file is None else file.load(), self._method)
        except UserError as error:
            where = f"boxes.method {self._method}: "
            raise UserError(f"{'' if str(error).startswith('boxes.') else where}{error}") from None


class Cam(_ClassMaps):
    """Class activation maps (Zhou et al., CVPR 2016)."""

    title = "CAM"
    _method = "cam"


class GradCam(_ClassMaps):
    """Grad-CAM (Selvaraju et al., ICCV 2017)."""

    title = "Grad-CAM"
    _method = "grad_cam"


def _check_classes(run: RunDir, file: NetworkFile) -> None:
    if file.saved.num_classes is None:
        raise UserError(f"{file.where}: found a localizer, which predicts no classes, {_EXPECTED}; give one of those")
    num_classes = pc.max(run.stage("catalog").read(CATALOG, ["label"]).column("label")).as_py() + 1
    if file.saved.num_classes != num_classes:
        raise UserError(
            f"{file.where}: found a classifier of {file.saved.num_classes} classes, expected one of the catalog's"
            f" {num_classes}; give one that was trained on the same classes"
        )
