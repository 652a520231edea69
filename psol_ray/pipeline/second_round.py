"""A second round (`boxes.localizer`): boxes that an earlier run's localizer says, for the next one to learn from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import ray

from psol_ray.config import BoxesConfig
from psol_ray.distributed.cluster import WorkerPlan
from psol_ray.distributed.jobs import Job
from psol_ray.distributed.packed import pack
from psol_ray.distributed.predict import PredictionActor, Trained
from psol_ray.errors import UserError
from psol_ray.models.saved import SavedNetwork
from psol_ray.models.weights import hash_state
from psol_ray.pipeline.context import Work
from psol_ray.pipeline.network_files import open_network
from psol_ray.prediction.views import View
from psol_ray.tables import read_file

__all__ = ["SecondRound"]

_BATCH = 64
_EXPECTED = "expected a model.safetensors of `psol train localizer`, or of `psol train joint`"


class SecondRound:
    """Boxes by a trained localizer, as `psol predict` finds them: whole images, squashed to its input."""

    title = "Pseudo boxes (localizer)"
    inputs: Mapping[str, str] = {}
    keeps_maps = False

    def __init__(self, config: BoxesConfig, localizer: str) -> None:
        """Args:
        config: of it, only how the network runs is of use here.
        localizer: path or URI of the network's file.

        Raises:
            UserError: the file cannot be had, or is no network that can say one box for an image.
        """
        self._config = config
        self._data, self._saved, weights_hash = _read(localizer)
        # Not where the file lies, and nothing of DDT's.
        self.settings: Mapping[str, Any] = {
            "localizer": asdict(self._saved),
            "weights_hash": weights_hash,
            "precision": config.precision,
        }

    def jobs(self, part: str, images: pa.Table, _fair_share: float, /) -> Sequence[Job]:
        """One job, whatever the class's size: one actor writes its part."""
        return [Job(part, (part, pack(images)), len(images), method="locate")]

    def actor_maker(self, plan: WorkerPlan, data_root: str, work: Work, board: Any) -> Callable[[], Any]:
        """Starts an actor that writes a class's part."""
        view = View.make("whole", self._saved.input_size, crop_share=1)
        localizer = Trained(self._data, view)
        # A box for each class: the network, which knows classes, chooses.
        networks_ref = ray.put((localizer, [localizer] if self._saved.num_boxes > 1 else []))
        options = PredictionActor.options(  # type: ignore[attr-defined]
            num_cpus=plan.num_cpus, num_gpus=plan.num_gpus
        )
        batch_size, precision = self._config.batch_size or _BATCH, self._config.precision
        return lambda: options.remote(
            plan, networks_ref, batch_size, precision, data_root, work.stage, work.made_by, board
        )


def _read(uri: str) -> tuple[bytes, SavedNetwork, str]:
    """The file, what it says of itself, and a hash of its tensors."""
    data = read_file("boxes.localizer", uri)
    if data is None:
        raise UserError(f"boxes.localizer: found no file {uri!r}, {_EXPECTED}; fix the path")
    saved, network = open_network(f"boxes.localizer: {uri!r}", data, _EXPECTED)
    if not saved.num_boxes:
        raise UserError(
            f"boxes.localizer: {uri!r}: found a classifier, which says no boxes, {_EXPECTED}; give one of those"
        )
    if saved.num_boxes > 1 and saved.num_classes is None:
        raise UserError(
            f"boxes.localizer: {uri!r}: found a localizer with a box for each of {saved.num_boxes} classes and nothing"
            " to tell the class by, expected one box an image; give a localizer of regression single, or a joint"
            " network, which knows classes"
        )
    return data, saved, hash_state(network.state_dict().items())
