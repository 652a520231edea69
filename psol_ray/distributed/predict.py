"""Prediction by actors: each holds the networks and writes a part a job."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import ray
import torch

from psol_ray.config import Precision
from psol_ray.distributed.cluster import WorkerPlan
from psol_ray.distributed.packed import unpack
from psol_ray.images.decoder import make_decoder
from psol_ray.models.backbones import find_backbone
from psol_ray.models.device import actor_device, autocast
from psol_ray.models.pretrained import PretrainedClassifier
from psol_ray.models.saved import SavedNetwork
from psol_ray.prediction.predict import Eye, Predictor
from psol_ray.prediction.views import View
from psol_ray.tables import Provenance, StageDir

__all__ = ["PredictionActor", "Pretrained", "Trained"]

_MakeTable = Callable[[pa.Table, Sequence[str], Callable[[int], None]], pa.Table]


@dataclass(frozen=True)
class Trained:
    """A network that `psol train` made, as it travels to an actor."""

    data: bytes
    view: View

    def load(self, device: torch.device) -> Eye:
        return Eye(SavedNetwork.from_bytes(self.data)[1].to(device), self.view)


@dataclass(frozen=True)
class Pretrained:
    """A published classifier, and which of its classes are the catalog's."""

    backbone: str
    state: Mapping[str, torch.Tensor]
    columns: Sequence[int]
    view: View

    def load(self, device: torch.device) -> Eye:
        network = PretrainedClassifier(find_backbone(self.backbone), self.state)
        return Eye(network.to(device), self.view, self.columns)


@ray.remote
class PredictionActor:
    """The networks, for as many parts as it is given. Images come as packed catalog rows."""

    def __init__(
        self,
        plan: WorkerPlan,
        networks: tuple[Trained, Sequence[Trained | Pretrained]],
        batch_size: int,
        precision: Precision,
        data_root: str,
        stage: StageDir,
        made_by: Provenance,
        board: Any,
    ) -> None:
        """`networks` are the localizer and the classifiers; one that has the localizer's file is the same network."""
        device = actor_device(plan)
        self._root, self._stage, self._made_by, self._board = data_root, stage, made_by, board
        localizer, classifiers = networks
        for_boxes = localizer.load(device)
        for_classes = [
            for_boxes._replace(view=classifier.view)
            if isinstance(classifier, Trained) and classifier.data == localizer.data
            else classifier.load(device)
            for classifier in classifiers
        ]
        # Networks that see squares of one size share a decoder, and so the decoded images.
        decoders = {
            side: make_decoder(side, batch_size, num_threads=plan.num_cpus, gpu=plan.gpu)
            for side in {eye.view.resize for eye in (for_boxes, *for_classes)}
        }
        self._predictor = Predictor(
            for_boxes, for_classes, decoders, batch_size=batch_size, autocast=lambda: autocast(device, precision)
        )

    def predict(self, part: str, packed: bytes) -> None:
        """Write one part of the predictions table."""
        self._write(part, packed, self._predictor.predict)

    def locate(self, part: str, packed: bytes) -> None:
        """Write one part of the boxes table."""
        self._write(part, packed, self._predictor.locate)

    def _write(self, part: str, packed: bytes, make_table: _MakeTable) -> None:
        images = unpack(packed)
        paths = [os.path.join(self._root, image_id) for image_id in images.column("image_id").to_pylist()]
        table = make_table(images, paths, lambda done: self._board.set.remote(part, done))
        self._stage.write_part(part, table, self._made_by)
