"""The worker of class maps: a trained classifier, for as many classes as it is given."""

from psol_ray.generators.class_maps.boxes import MapLocator
from psol_ray.generators.class_maps.maps import ActivationMaps, MapMethod
from psol_ray.generators.decoders import decoders_of_worker
from psol_ray.generators.settings import InferenceSettings
from psol_ray.images.batch_stream import BatchStream
from psol_ray.models.device import worker_device
from psol_ray.models.saved import SavedNetwork
from psol_ray.work.jobs import Parts, Resources, Task

__all__ = ["ClassMapWorker"]


class ClassMapWorker:
    """Draws maps of images for their labels, and boxes from the maps."""

    def __init__(
        self, method: MapMethod, threshold: float, inference: InferenceSettings, model: bytes, resources: Resources
    ) -> None:
        """`model` is the file of the classifier."""
        device = worker_device(resources)
        saved, network = SavedNetwork.from_bytes(model)
        decoders = decoders_of_worker(inference, resources, saved.input_size)
        # In float32, whatever `precision`: values near a map's highest would be steps of 1/256 of it apart in bfloat16,
        # and thresholds are hundredths of its range.
        self._locator = MapLocator(
            ActivationMaps(saved, network.to(device), method),
            BatchStream([decoder.decode for decoder in decoders], inference.batch(resources.gpu), device),
            input_size=saved.input_size,
            threshold=threshold,
        )

    def process(self, task: Task) -> Parts:
        """Draw the maps and the boxes of a class."""
        boxes, maps = self._locator.locate(task.images, task.paths, task.progress)
        return Parts(maps=maps, boxes=boxes)
