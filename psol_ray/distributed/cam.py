"""Class maps by actors: a class is handed to one, which writes the class's maps, and then its boxes."""

import os
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import ray

from psol_ray.config import BoxesConfig
from psol_ray.distributed.cluster import WorkerPlan
from psol_ray.distributed.packed import unpack
from psol_ray.generators.class_maps.boxes import MapLocator
from psol_ray.generators.class_maps.maps import ActivationMaps
from psol_ray.images.decoder import make_decoder
from psol_ray.models.device import actor_device
from psol_ray.models.saved import SavedNetwork
from psol_ray.tables import Provenance, StageDir

__all__ = ["MapActor", "Target"]

_CPU_BATCH, _GPU_BATCH = 8, 64


@dataclass(frozen=True)
class Target:
    """A stage into which parts are written."""

    stage: StageDir
    made_by: Provenance

    def write(self, part: str, table: pa.Table) -> None:
        self.stage.write_part(part, table, self.made_by)


@ray.remote
class MapActor:
    """A trained classifier, for as many classes as it is given. Images come as packed catalog rows."""

    def __init__(
        self,
        plan: WorkerPlan,
        config: BoxesConfig,
        model: bytes,
        data_root: str,
        maps: Target,
        boxes: Target,
        board: Any,
    ) -> None:
        """`model` is the file of the classifier, of a method's settings in `config`."""
        assert config.method != "ddt"
        device = actor_device(plan)
        self._root, self._maps, self._boxes, self._board = data_root, maps, boxes, board
        saved, network = SavedNetwork.from_bytes(model)
        batch_size = config.batch_size or (_CPU_BATCH if plan.gpu is None else _GPU_BATCH)
        decoder = make_decoder(
            saved.input_size,
            batch_size,
            num_threads=config.decode_threads or plan.num_cpus,
            gpu=plan.gpu,
            hw_share=config.hw_decoder_share,
        )
        # In float32, whatever `config.precision`: values near a map's highest would be steps of 1/256 of it apart in
        # bfloat16, and thresholds are hundredths of its range.
        self._locator = MapLocator(
            ActivationMaps(saved, network.to(device), config.method),
            decoder,
            input_size=saved.input_size,
            threshold=config.threshold,
            batch_size=batch_size,
        )

    def locate(self, part: str, packed: bytes) -> None:
        """Write a class's part of the maps table, and then of the boxes table."""
        images = unpack(packed)
        paths = [os.path.join(self._root, image_id) for image_id in images.column("image_id").to_pylist()]
        boxes, maps = self._locator.locate(images, paths, lambda done: self._board.set.remote(part, done))
        self._maps.write(part, maps)
        self._boxes.write(part, boxes)
