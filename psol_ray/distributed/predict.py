"""Prediction by actors: each holds the networks and writes a part a job."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import ray

from psol_ray.config import Precision
from psol_ray.distributed.cluster import WorkerPlan
from psol_ray.distributed.device import actor_device, autocast
from psol_ray.images import make_decoder
from psol_ray.models import SavedNetwork
from psol_ray.prediction import Predictor
from psol_ray.tables import Provenance, StageDir, unpack

__all__ = ["PredictionActor"]

_MakeTable = Callable[[pa.Table, Sequence[str], Callable[[int], None]], pa.Table]


@ray.remote
class PredictionActor:
    """The trained networks, for as many parts as it is given. Images come as packed catalog rows."""

    def __init__(
        self,
        plan: WorkerPlan,
        models: Sequence[bytes],
        batch_size: int,
        precision: Precision,
        data_root: str,
        stage: StageDir,
        made_by: Provenance,
        board: Any,
        share: float = 1,
    ) -> None:
        """`models` are the files of the localizer and the classifier, or of the one network there is."""
        device = actor_device(plan)
        self._root, self._stage, self._made_by, self._board = data_root, stage, made_by, board
        loaded = [SavedNetwork.from_bytes(data) for data in models]
        # Networks of one input size share a decoder, and so the decoded images.
        decoders = {
            size: make_decoder(size, batch_size, regions=share < 1, num_threads=plan.num_cpus, gpu=plan.gpu)
            for size in {saved.input_size for saved, _ in loaded}
        }
        pairs = [(network.to(device), decoders[saved.input_size]) for saved, network in loaded]
        self._predictor = Predictor(
            pairs[0], pairs[-1], batch_size=batch_size, autocast=lambda: autocast(device, precision), share=share
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
