"""DDT by actors: a class is handed to one, its images never leave it, and it writes the class's part itself.

An actor holds two classes: while boxes of one are drawn and written on the CPU, the network works on the other, and its
batches run from the one into the other.
"""

import itertools
import os
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import ray
import torch
from numpy.typing import NDArray

from psol_ray.config import BoxesConfig
from psol_ray.distributed.cluster import WorkerPlan
from psol_ray.distributed.packed import unpack
from psol_ray.generators.ddt.class_boxes import draw_boxes, locate_class
from psol_ray.generators.ddt.moments import Component
from psol_ray.generators.ddt.passes import Accept, Chunk, ClassMoments, Heat, Read, fits, measure, project, project_kept
from psol_ray.generators.ddt.stream import FeatureStream
from psol_ray.images.decoder import make_decoder
from psol_ray.models.backbones import find_backbone
from psol_ray.models.device import actor_device, autocast, feature_memory
from psol_ray.models.features import FeatureExtractor, compiled
from psol_ray.tables import Provenance, StageDir

__all__ = ["JOBS_AN_ACTOR", "Locator"]

JOBS_AN_ACTOR = 2
# While one reads files into memory, the other's are on the GPU.
_DECODERS_A_GPU = 2
_REPORT_SECONDS = 0.5
_CPU_BATCH, _GPU_BATCH = 8, 64


@ray.remote
class Locator:
    """One network and its decoders for its whole life. Images come as packed catalog rows."""

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
        device = actor_device(plan)
        self._config, self._board = config, board
        self._root, self._stage, self._made_by = data_root, stage, made_by
        extractor = FeatureExtractor(find_backbone(config.backbone), state).to(device)

        def network(images_NHWC: torch.Tensor) -> torch.Tensor:
            with autocast(device, config.precision):
                return extractor(images_NHWC)

        batch_size = config.batch_size or (_CPU_BATCH if plan.gpu is None else _GPU_BATCH)
        decoders = [
            make_decoder(
                config.input_size,
                batch_size,
                num_threads=config.decode_threads or plan.num_cpus,
                gpu=plan.gpu,
                hw_share=config.hw_decoder_share,
            )
            for _ in range(1 if plan.gpu is None else _DECODERS_A_GPU)
        ]
        run = compiled(network, batch_size) if config.compile else network
        self._stream = FeatureStream(decoders, run, batch_size, device)
        # A class being read, one whose boxes are drawn, and pieces that wait for their siblings: a third for each.
        self._max_bytes = feature_memory(plan, config.memory_gb) / 3
        self._kept: dict[str, list[Chunk]] = {}
        self._reported_at = 0.0

    def locate(self, part: str, packed: bytes) -> None:
        """Draw boxes for a whole class and write its part."""
        images = unpack(packed)
        table = locate_class(
            images,
            self._reader(part, images),
            input_size=self._config.input_size,
            upsample=self._config.upsample,
            max_bytes=self._max_bytes,
        )
        self._write(part, table)

    def measure(self, piece: str, packed: bytes) -> ClassMoments:
        """Moments of a piece of a class; its features are kept if they fit beside those of other pieces."""
        images = unpack(packed)
        held = sum(chunk.map_Nhwc.nbytes for chunks in self._kept.values() for chunk in chunks)
        moments, kept = measure(images, self._reader(piece, images), self._max_bytes - held)
        if kept is not None:
            self._kept[piece] = kept
        return moments.cpu()

    def project(self, piece: str, packed: bytes, component: Component) -> Heat:
        """Heat of a piece of a class."""
        images = unpack(packed)
        kept = self._kept.pop(piece, None)
        if kept is not None:
            return project_kept(kept, component)
        return project(images, self._reader(piece, images, passes_done=1), component)

    def draw(self, part: str, packed: bytes, heats: Sequence[Heat], component: Component | None) -> None:
        """Draw boxes from the heat of all pieces of a class and write its part."""
        images, config = unpack(packed), self._config
        table = draw_boxes(images, heats, component, input_size=config.input_size, upsample=config.upsample)
        self._write(part, table)

    def _write(self, part: str, table: pa.Table) -> None:
        self._stage.write_part(part, table, self._made_by)

    def _reader(self, name: str, images: pa.Table, *, passes_done: int = 0) -> Read:
        paths = [os.path.join(self._root, image_id) for image_id in images.column("image_id").to_pylist()]
        passes = itertools.count(passes_done)
        return lambda accept: self._stream.read(paths, self._reporting(name, len(paths), next(passes), accept))

    def _reporting(self, name: str, num_images: int, passes_done: int, accept: Accept) -> Accept:
        def accept_and_report(start: int, map_Nhwc: torch.Tensor, ok_N: NDArray[np.bool_]) -> None:
            accept(start, map_Nhwc, ok_N)
            done = start + len(ok_N)
            # Not after each batch: a thousand GPUs make a hundred thousand of them a second.
            if done < num_images and time.monotonic() - self._reported_at < _REPORT_SECONDS:
                return
            self._reported_at = time.monotonic()
            if passes_done or not fits(map_Nhwc, num_images, self._max_bytes):
                done = (passes_done * num_images + done) // 2
            self._board.set.remote(name, done)

        return accept_and_report
