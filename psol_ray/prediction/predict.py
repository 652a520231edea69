"""The trained networks over images, whole and squashed to each network's input (Sec. 3.2.2, 3.2.3)."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

import numpy as np
import pyarrow as pa
import torch

from psol_ray.geometry.boxes import fractions_to_xyxy
from psol_ray.images import DecodedBatch, Decoder, prefetch
from psol_ray.models.networks import Outputs
from psol_ray.tables.schemas import PREDICTIONS, box_columns

__all__ = ["Predictor"]

_TOP = 5

Network = Callable[[torch.Tensor], Outputs]


class Predictor:
    """A localizer and a classifier with their decoders; they may be one and the same network."""

    def __init__(
        self,
        localizer: tuple[Network, Decoder],
        classifier: tuple[Network, Decoder],
        *,
        batch_size: int,
        autocast: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """Args:
        localizer, classifier: a network and a decoder of its input size; the same pair twice runs once.
        batch_size: images a forward pass.
        autocast: a context for forward passes.
        """
        self._localizer, self._classifier = localizer, classifier
        self._batch_size, self._autocast = batch_size, autocast

    @torch.inference_mode()
    def predict(self, images: pa.Table, paths: Sequence[str], on_batch: Callable[[int], None]) -> pa.Table:
        """Rows of the predictions table.

        Args:
            images: catalog rows.
            paths: their files, in the same order.
            on_batch: called with the number of images done, after each batch.
        """
        width_N, height_N = (images.column(name).to_numpy() for name in ("width", "height"))
        fractions, labels, probs = [], [], []
        done = 0
        for for_boxes, for_classes in prefetch(self._decode(paths)):
            fractions_N4, probs_NK = self._forward(for_boxes, for_classes)
            top = probs_NK.topk(min(_TOP, probs_NK.shape[1]))
            # An image without a size in the catalog is unreadable, even where the decoder could take it.
            sized_N = width_N[done : done + len(for_boxes.ok_N)] > 0
            ok_N = for_boxes.ok_N & for_classes.ok_N & sized_N
            fractions.append(np.where(ok_N[:, None], fractions_N4.cpu().numpy(), np.nan))
            labels += [row if ok else [] for row, ok in zip(top.indices.tolist(), ok_N, strict=True)]
            probs += [row if ok else [] for row, ok in zip(top.values.tolist(), ok_N, strict=True)]
            done += len(ok_N)
            on_batch(done)
        boxes_N4 = fractions_to_xyxy(np.concatenate(fractions), width_N, height_N)
        columns = {"image_id": images.column("image_id"), **box_columns(boxes_N4)}
        return pa.table({**columns, "top_labels": labels, "top_probs": probs}).cast(PREDICTIONS)

    def _decode(self, paths: Sequence[str]) -> Iterator[tuple[DecodedBatch, DecodedBatch]]:
        for start in range(0, len(paths), self._batch_size):
            batch = paths[start : start + self._batch_size]
            for_boxes = self._localizer[1].decode(batch)
            shared = self._classifier[1] is self._localizer[1]
            yield for_boxes, (for_boxes if shared else self._classifier[1].decode(batch))

    def _forward(self, for_boxes: DecodedBatch, for_classes: DecodedBatch) -> tuple[torch.Tensor, torch.Tensor]:
        with self._autocast():
            outputs = self._localizer[0](for_boxes.images_NHWC)
            fractions_N4, logits_NK = outputs
            if self._classifier[0] is not self._localizer[0]:
                logits_NK = self._classifier[0](for_classes.images_NHWC).logits_NK
        assert fractions_N4 is not None, "the localizer has no box head"
        assert logits_NK is not None, "the classifier has no class head"
        return fractions_N4.double(), logits_NK.float().softmax(dim=1)
