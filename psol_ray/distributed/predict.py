"""Prediction by actors: each holds both networks and writes a part a job."""

import os
from typing import Any

import pyarrow as pa
import ray

from psol_ray.config import PredictConfig
from psol_ray.distributed.cluster import WorkerPlan
from psol_ray.distributed.device import actor_device, autocast
from psol_ray.images import make_decoder
from psol_ray.prediction import Predictor
from psol_ray.tables import Provenance, StageDir
from psol_ray.training import SavedNetwork

__all__ = ["PredictionActor"]


@ray.remote
class PredictionActor:
    """The trained networks, for as many parts as it is given."""

    def __init__(
        self,
        plan: WorkerPlan,
        config: PredictConfig,
        models: dict[str, bytes],
        data_root: str,
        stage: StageDir,
        made_by: Provenance,
        board: Any,
    ) -> None:
        """`models` maps `localizer` and `classifier`, or `joint`, to file contents."""
        device = actor_device(plan)
        self._root, self._stage, self._made_by, self._board = data_root, stage, made_by, board
        loaded = {name: SavedNetwork.from_bytes(data) for name, data in models.items()}
        # Networks of one input size share a decoder, and so the decoded images.
        decoders = {
            size: make_decoder(size, config.batch_size, num_threads=plan.num_cpus, gpu=plan.gpu)
            for size in {saved.input_size for saved, _ in loaded.values()}
        }
        pairs = {name: (net.to(device), decoders[saved.input_size]) for name, (saved, net) in loaded.items()}
        self._predictor = Predictor(
            pairs.get("joint") or pairs["localizer"],
            pairs.get("joint") or pairs["classifier"],
            batch_size=config.batch_size,
            autocast=lambda: autocast(device, "auto"),
        )

    def process(self, part: str, images: pa.Table) -> None:
        """Predict every image of one part and write it."""
        paths = [os.path.join(self._root, image_id) for image_id in images.column("image_id").to_pylist()]
        table = self._predictor.predict(images, paths, lambda done: self._board.set.remote(part, done))
        self._stage.write_part(part, table, self._made_by)
