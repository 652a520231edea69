"""Boxes from class maps (`boxes.method` cam or grad_cam): what a classifier has learned of places, to compare with."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import ray

from psol_ray.config import BoxesConfig, Config
from psol_ray.distributed.cam import MapActor, Target
from psol_ray.distributed.cluster import WorkerPlan
from psol_ray.distributed.jobs import Job
from psol_ray.distributed.packed import pack
from psol_ray.distributed.train_worker import MODEL_FILE
from psol_ray.errors import UserError
from psol_ray.generators.class_maps.maps import ActivationMaps, MapMethod
from psol_ray.models.networks import PsolNetwork
from psol_ray.models.saved import SavedNetwork
from psol_ray.models.weights import hash_state
from psol_ray.pipeline.context import Context, Work, backbone_of
from psol_ray.pipeline.maps import maps_of
from psol_ray.pipeline.network_files import open_network
from psol_ray.tables import CATALOG, read_file

__all__ = ["ActivationBoxes", "check_settings"]

_TITLES = {"cam": "Pseudo boxes (CAM)", "grad_cam": "Pseudo boxes (Grad-CAM)"}
_EXPECTED = "expected a model.safetensors of `psol train classifier`, or of `psol train joint`"


class ActivationBoxes:
    """Boxes around what is high in a trained classifier's map of the image's label; whole images, squashed."""

    keeps_maps = True

    def __init__(self, context: Context) -> None:
        """Raises:
        UserError: the settings contradict each other, or the classifier cannot be had, is of other classes, or has no
            such maps.
        """
        self._context, self._config = context, context.config.boxes
        method = self._config.method
        assert method != "ddt"
        _check_localizer(self._config)
        self.title = _TITLES[method]
        self.inputs: Mapping[str, str] = {}
        if self._config.classifier is None:
            self.inputs = {"classifier": context.stage("classifier").require().fingerprint}
        where, self._data = _find(context)
        saved, network = open_network(where, self._data, _EXPECTED)
        _check_other_classes(context, where, saved)
        _check_without_maps(saved, network, method)
        # Not where the file lies, and nothing of DDT's.
        self.settings: Mapping[str, Any] = {
            "method": method,
            "threshold": self._config.threshold,
            "classifier": asdict(saved),
            "weights_hash": hash_state(network.state_dict().items()),
        }

    def jobs(self, part: str, images: pa.Table, _fair_share: float, /) -> Sequence[Job]:
        """One job, whatever the class's size: nothing of a class has to be in one memory."""
        return [Job(part, (part, pack(images)), len(images), method="locate")]

    def actor_maker(self, plan: WorkerPlan, data_root: str, work: Work, board: Any) -> Callable[[], Any]:
        """Starts an actor that writes a class's parts."""
        model_ref = ray.put(self._data)
        options = MapActor.options(num_cpus=plan.num_cpus, num_gpus=plan.num_gpus)  # type: ignore[attr-defined]
        of_maps = maps_of(self._context, work.made_by)
        maps, boxes = Target(of_maps.stage, of_maps.made_by), Target(work.stage, work.made_by)
        return lambda: options.remote(plan, self._config, model_ref, data_root, maps, boxes, board)


def check_settings(config: Config) -> None:
    """Raise a UserError where boxes cannot be made as `boxes.method` says, before anything is trained for it."""
    boxes = config.boxes
    if boxes.method == "ddt":
        return
    _check_localizer(boxes)
    if boxes.classifier is None:
        backbone = backbone_of("classifier", config.classifier.backbone)
        saved = SavedNetwork(backbone.name, config.classifier.input_size or backbone.input_size, 0, num_classes=2)
        _check_without_maps(saved, saved.build(), boxes.method)


def _check_localizer(boxes: BoxesConfig) -> None:
    if boxes.localizer is not None:
        raise UserError(
            f"boxes.method: found {boxes.method} beside boxes.localizer {boxes.localizer!r}, expected one of them;"
            " leave the other out"
        )


def _check_without_maps(saved: SavedNetwork, network: PsolNetwork, method: MapMethod) -> None:
    try:
        ActivationMaps(saved, network, method)
    except UserError as error:
        raise UserError(f"boxes.method {method}: {error}") from None


def _find(context: Context) -> tuple[str, bytes]:
    """What messages call the classifier's file, and what is in it."""
    uri = context.config.boxes.classifier
    if uri is None:
        stage = context.stage("classifier")
        data = stage.read_bytes(MODEL_FILE)
        if data is None:
            raise UserError(f"{stage.path}: found no {MODEL_FILE}; run `psol train classifier --overwrite`")
        return f"{stage.path}/{MODEL_FILE}", data
    data = read_file("boxes.classifier", uri)
    if data is None:
        raise UserError(f"boxes.classifier: found no file {uri!r}, {_EXPECTED}; fix the path")
    return f"boxes.classifier: {uri!r}", data


def _check_other_classes(context: Context, where: str, saved: SavedNetwork) -> None:
    if saved.num_classes is None:
        raise UserError(f"{where}: found a localizer, which knows no classes, {_EXPECTED}; give one of those")
    num_classes = pc.max(context.stage("catalog").read(CATALOG, ["label"]).column("label")).as_py() + 1
    if saved.num_classes != num_classes:
        raise UserError(
            f"{where}: found a classifier of {saved.num_classes} classes, expected one of the catalog's {num_classes};"
            " give one that was trained on the same classes"
        )
