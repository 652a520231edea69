"""The worker of a second round: a trained localizer, for as many classes as it is given."""

from collections.abc import Sequence

from psol_ray.generators.settings import InferenceSettings
from psol_ray.prediction.networks import PretrainedNetwork, TrainedNetwork
from psol_ray.prediction.worker import make_predictor
from psol_ray.work.jobs import Parts, Resources, Task

__all__ = ["LocalizerWorker"]


class LocalizerWorker:
    """Draws the boxes that the localizer says."""

    def __init__(
        self,
        localizer: TrainedNetwork,
        classifiers: Sequence[TrainedNetwork | PretrainedNetwork],
        inference: InferenceSettings,
        resources: Resources,
    ) -> None:
        """`classifiers` choose the class of a localizer with a box for each; none for one with a single box."""
        self._predictor = make_predictor(
            localizer,
            classifiers,
            resources,
            batch_size=inference.batch(resources.gpu),
            precision=inference.precision,
            num_threads=inference.decode_threads,
            hw_share=inference.hw_decoder_share,
        )

    def process(self, task: Task) -> Parts:
        """Draw the boxes of a class."""
        return Parts(boxes=self._predictor.locate(task.images, task.paths, task.progress))
