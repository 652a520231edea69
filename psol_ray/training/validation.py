"""Score a network while it trains: test images, squashed to its input as a whole, by the rule of `psol evaluate`."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray

from psol_ray.evaluation.ground_truth import GroundTruth
from psol_ray.evaluation.scoring import ScoringProtocol
from psol_ray.geometry.boxes import fractions_to_xyxy
from psol_ray.images.batch import DecodedBatch, Decoder
from psol_ray.images.batches import Absences, decode_ahead, decode_what_is_here, has_size
from psol_ray.models.networks import Outputs
from psol_ray.storage.addresses import Address, image_addresses
from psol_ray.tables.schemas import TEST
from psol_ray.training.losses import boxes_of_class
from psol_ray.training.unusable import Unusable, check_away
from psol_ray.training.workers import sum_over_workers

__all__ = ["Validator", "validation_images"]


def validation_images(catalog: pa.Table, *, classes: bool) -> pa.Table:
    """Choose a catalog's rows to validate on: the test split, without a class head those with a ground-truth box."""
    images = catalog.filter(pc.field("split") == TEST).combine_chunks()
    return images if classes else images.filter(pa.array(GroundTruth.of(images).known_N))


class Validator:
    """Scores networks on this rank's share of the test images, and sums the counts of all ranks."""

    def __init__(
        self,
        images: pa.Table,
        decoder: Decoder,
        data_root: str,
        *,
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        """Args:
        images: see `validation_images`; every rank is given all of them.
        decoder: of the network's input size, made without `regions`.
        data_root: folder the image ids are below.
        batch_size: images a forward pass.
        rank, world_size: which share is this worker's.
        """
        self._images = images.take(pa.array(range(rank, len(images), world_size), pa.int64()))
        self._decoder, self._root, self._batch_size = decoder, data_root, batch_size
        self._absences = Absences()

    @torch.inference_mode()
    def scores(
        self,
        network: Callable[[torch.Tensor], Outputs],
        autocast: Callable[[], AbstractContextManager[None]],
        *,
        max_away: float = 0.0,
    ) -> dict[str, float]:
        """Fractions of the test images; every rank has to call it.

        Args:
            network: in inference mode.
            autocast: a context for forward passes.
            max_away: share of the images that may be away.

        Returns:
            `gt_known` where it has a box head and images have ground-truth boxes (the box is that of the true class,
            where there is one for each), in original coordinates at an IoU of at least 0.5; `top1` where it has a class
            head. An image that cannot be read is wrong. `test_away` and `test_unreadable`, how many images these were,
            where there are some.

        Raises:
            UserError: more images are away than may be.
        """
        counts = np.zeros(7)
        paths, away = image_addresses(self._root, self._images), set[Address]()
        for batch, (decoded, gone) in decode_ahead(paths, self._decode, self._batch_size):
            away |= gone
            with autocast():
                outputs = network(decoded.images_NHWC)
            images = self._images[batch]
            num_bad = int((~decoded.ok_N & has_size(images)).sum())
            counts += [
                *_boxes(outputs, images, decoded),
                *_classes(outputs, images, decoded),
                len(gone),
                num_bad - len(gone),
                len(images),
            ]
        totals = sum_over_workers(torch.from_numpy(counts)).tolist()
        right_boxes, boxes, right_classes, classes, num_away, num_unreadable, num_images = totals
        check_away(int(num_away), int(num_images), max_away, lambda: self._names(paths, away), "test images")
        return {
            **({"gt_known": right_boxes / boxes} if boxes else {}),
            **({"top1": right_classes / classes} if classes else {}),
            **Unusable(int(num_away), int(num_unreadable)).row("test_"),
        }

    def _names(self, paths: Sequence[Address], away: set[Address]) -> list[str]:
        image_ids = self._images.column("image_id").to_pylist()
        return [image_id for image_id, path in zip(image_ids, paths, strict=True) if path in away]

    def _decode(self, paths: Sequence[Address]) -> tuple[DecodedBatch, set[Address]]:
        return decode_what_is_here(self._decoder, paths, self._absences)


def _boxes(outputs: Outputs, images: pa.Table, decoded: DecodedBatch) -> tuple[int, int]:
    """How many boxes are right, of how many that can be."""
    if outputs.boxes_NR4 is None:
        return 0, 0
    protocol = ScoringProtocol()
    labels_N = torch.from_numpy(_column(images, "label")).long().to(outputs.boxes_NR4.device)
    fractions_N4 = boxes_of_class(outputs.boxes_NR4, labels_N).double().cpu().numpy()
    boxes_N4 = fractions_to_xyxy(fractions_N4, _column(images, "width"), _column(images, "height"))
    right_N = protocol.right(protocol.ious(images, boxes_N4)) & _readable(images, decoded)
    return int(right_N.sum()), int(GroundTruth.of(images).known_N.sum())


def _classes(outputs: Outputs, images: pa.Table, decoded: DecodedBatch) -> tuple[int, int]:
    """How many classes are right, of how many."""
    if outputs.logits_NK is None:
        return 0, 0
    top_N = outputs.logits_NK.argmax(dim=1).cpu().numpy()
    right_N = (top_N == _column(images, "label")) & _readable(images, decoded)
    return int(right_N.sum()), len(right_N)


def _readable(images: pa.Table, decoded: DecodedBatch) -> NDArray[np.bool_]:
    return decoded.ok_N & has_size(images)


def _column(images: pa.Table, name: str) -> NDArray[np.float64]:
    return images.column(name).to_numpy().astype(np.float64)
