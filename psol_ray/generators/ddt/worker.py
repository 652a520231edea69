"""DDT's worker: one network and its decoders, for as many classes as it is given.

It may hold several classes: while boxes of one are drawn and written on the CPU, the network works on another, and its
batches run from the one into the other.
"""

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from psol_ray.generators.ddt.class_boxes import draw_boxes, locate_class
from psol_ray.generators.ddt.moments import Component
from psol_ray.generators.ddt.passes import Accept, Chunk, ClassMoments, Heat, Read, fits, measure, project, project_kept
from psol_ray.generators.ddt.settings import DdtSettings
from psol_ray.generators.ddt.stream import FeatureStream
from psol_ray.generators.decoders import decoders_of_worker
from psol_ray.generators.settings import InferenceSettings
from psol_ray.models.backbones import find_backbone
from psol_ray.models.device import feature_memory, worker_device
from psol_ray.models.features import FeatureExtractor
from psol_ray.models.forward import make_forward
from psol_ray.work.jobs import Parts, Resources, Task

__all__ = ["DdtWorker"]


class DdtWorker:
    """Draws the boxes of whole classes (`process`), or takes part in a class that is split (the other methods)."""

    def __init__(
        self,
        settings: DdtSettings,
        inference: InferenceSettings,
        state: dict[str, torch.Tensor],
        resources: Resources,
    ) -> None:
        """`state` holds the backbone's tensors, from `load_state`."""
        device = worker_device(resources)
        self._settings = settings
        batch_size = inference.batch(resources.gpu)
        network = make_forward(
            FeatureExtractor(find_backbone(settings.backbone), state).to(device),
            device,
            precision=inference.precision,
            batch_size=batch_size,
            input_size=settings.input_size,
            compiled=inference.compile,
        )
        decoders = decoders_of_worker(inference, resources, settings.input_size)
        self.stream = FeatureStream(decoders, network, batch_size, device)
        # A class being read, one whose boxes are drawn, and pieces that wait for their siblings: a third for each.
        self._max_bytes = feature_memory(resources, inference.memory_gb) / 3
        self._kept: dict[str, list[Chunk]] = {}

    def process(self, task: Task) -> Parts:
        """Draw the boxes of a whole class."""
        return locate_class(
            task.images,
            self._reader(task),
            input_size=self._settings.input_size,
            upsample=self._settings.upsample,
            max_bytes=self._max_bytes,
        )

    def measure(self, task: Task) -> ClassMoments:
        """Moments of a piece of a class; its features are kept if they fit beside those of other pieces."""
        held = sum(chunk.map_Nhwc.nbytes for chunks in self._kept.values() for chunk in chunks)
        moments, kept = measure(task.images, self._reader(task), self._max_bytes - held)
        if kept is not None:
            self._kept[task.name] = kept
        return moments.cpu()

    def project(self, task: Task, component: Component) -> Heat:
        """Heat of a piece of a class."""
        kept = self._kept.pop(task.name, None)
        if kept is not None:
            return project_kept(kept, component)
        return project(task.images, self._reader(task, passes_done=1), component)

    def draw(self, task: Task, heats: Sequence[Heat], component: Component | None) -> Parts:
        """Draw the boxes of a class from the heat of all its pieces."""
        settings = self._settings
        return draw_boxes(task.images, heats, component, input_size=settings.input_size, upsample=settings.upsample)

    def close(self) -> None:
        """End the threads of the stream."""
        self.stream.close()

    def _reader(self, task: Task, *, passes_done: int = 0) -> Read:
        passes = itertools.count(passes_done)
        return lambda accept: self.stream.read(task.paths, self._reporting(task, next(passes), accept))

    def _reporting(self, task: Task, passes_done: int, accept: Accept) -> Accept:
        num_images = len(task.images)

        def accept_and_report(start: int, map_Nhwc: torch.Tensor, ok_N: NDArray[np.bool_]) -> None:
            accept(start, map_Nhwc, ok_N)
            done = start + len(ok_N)
            if passes_done or not fits(map_Nhwc, num_images, self._max_bytes):
                done = (passes_done * num_images + done) // 2
            task.progress(done)

        return accept_and_report
