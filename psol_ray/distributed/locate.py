"""DDT by actors: a class is handed to one, its images never leave it, and it writes the class's part itself."""

import os
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import ray
import torch

from psol_ray.config import BoxesConfig
from psol_ray.ddt import locate_class
from psol_ray.distributed.cluster import WorkerPlan
from psol_ray.distributed.device import actor_device, autocast
from psol_ray.images import DecodedBatch, make_decoder, prefetch
from psol_ray.models import FeatureExtractor, find_backbone
from psol_ray.tables import Provenance, StageDir

__all__ = ["Locator"]


@ray.remote
class Locator:
    """One network and one decoder for its whole life; a class at a time."""

    def __init__(
        self,
        plan: WorkerPlan,
        config: BoxesConfig,
        state: dict[str, torch.Tensor],
        data_root: str,
        stage: StageDir,
        made_by: Provenance,
        board: Any,
    ) -> None:
        """`state` holds the backbone's tensors, from `load_state`."""
        self._device = actor_device(plan)
        self._config, self._board = config, board
        self._root, self._stage, self._made_by = data_root, stage, made_by
        self._extractor = FeatureExtractor(find_backbone(config.backbone), state).to(self._device)
        self._decoder = make_decoder(config.input_size, config.batch_size, num_threads=plan.num_cpus, gpu=plan.gpu)

    @torch.inference_mode()
    def process(self, part: str, images: pa.Table) -> None:
        """Locate every image of one class and write its part."""
        table = locate_class(
            images,
            prefetch(self._decode(images)),
            self._extract(part),
            input_size=self._config.input_size,
            upsample=self._config.upsample,
        )
        self._stage.write_part(part, table, self._made_by)
        self._board.set.remote(part, len(images))

    def _decode(self, images: pa.Table) -> Iterator[DecodedBatch]:
        paths = [os.path.join(self._root, image_id) for image_id in images.column("image_id").to_pylist()]
        step = self._config.batch_size
        return (self._decoder.decode(paths[start : start + step]) for start in range(0, len(paths), step))

    def _extract(self, part: str) -> Any:
        done = 0

        def extract(images_NHWC: torch.Tensor) -> torch.Tensor:
            nonlocal done
            with autocast(self._device, self._config.precision):
                features_Nhwc = self._extractor(images_NHWC)
            done += len(images_NHWC)
            self._board.set.remote(part, done)
            return features_Nhwc

        return extract
