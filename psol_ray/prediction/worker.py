"""The worker of prediction, and what it has in common with other workers whose networks say boxes."""

from collections.abc import Sequence

from psol_ray.images.decoder import make_decoders
from psol_ray.models.device import autocast, worker_device
from psol_ray.models.precision import Precision
from psol_ray.prediction.networks import PretrainedNetwork, TrainedNetwork, load_networks
from psol_ray.prediction.predict import Predictor
from psol_ray.work.jobs import Parts, Resources, Task

__all__ = ["PredictionWorker", "make_predictor"]


def make_predictor(
    localizer: TrainedNetwork,
    classifiers: Sequence[TrainedNetwork | PretrainedNetwork],
    resources: Resources,
    *,
    batch_size: int,
    precision: Precision,
    num_threads: int | None = None,
    hw_share: float = 1.0,
) -> Predictor:
    """The networks and their decoders, in the process where they are to work."""
    device = worker_device(resources)
    for_boxes, for_classes = load_networks(localizer, classifiers, device)
    # Networks that see squares of one size share a decoder, and so the decoded images.
    of_sides = {
        side: make_decoders(
            side,
            batch_size,
            num_threads=num_threads or resources.num_cpus,
            gpu=resources.gpu,
            hw_share=hw_share,
            max_pixels=resources.max_pixels,
        )
        for side in {each.view.resize for each in (for_boxes, *for_classes)}
    }
    decoders = [dict(zip(of_sides, each, strict=True)) for each in zip(*of_sides.values(), strict=True)]
    return Predictor(
        for_boxes,
        for_classes,
        decoders,
        batch_size=batch_size,
        device=device,
        autocast=lambda: autocast(device, precision),
    )


class PredictionWorker:
    """Predicts boxes and classes of test images."""

    def __init__(
        self,
        localizer: TrainedNetwork,
        classifiers: Sequence[TrainedNetwork | PretrainedNetwork],
        precision: Precision,
        batch_size: int,
        resources: Resources,
    ) -> None:
        self._predictor = make_predictor(localizer, classifiers, resources, batch_size=batch_size, precision=precision)

    def process(self, task: Task) -> Parts:
        """Rows of the predictions table."""
        return Parts(predictions=self._predictor.predict(task.images, task.paths, task.progress))
