"""The trained networks over images, whole and squashed to each network's input (Sec. 3.2.2, 3.2.3)."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from psol_ray.geometry.boxes import area, fractions_to_xyxy
from psol_ray.images import DecodedBatch, Decoder, prefetch
from psol_ray.models.networks import Outputs
from psol_ray.tables.schemas import BOXES, OK, PREDICTIONS, UNREADABLE, box_columns

__all__ = ["Predictor"]

_TOP = 5

Network = Callable[[torch.Tensor], Outputs]
OnBatch = Callable[[int], None]


class _Batch(NamedTuple):
    """`fractions_N4` is `(x, y, w, h)`, NaN for an image that cannot be read."""

    fractions_N4: NDArray[np.float64]
    logits_NK: torch.Tensor | None
    ok_N: NDArray[np.bool_]


class Predictor:
    """A localizer and a classifier with their decoders; they may be one and the same network.

    A localizer of single-class regression gives one box an image. One of per-class regression gives a box for each
    class, and the image's is that of the class which the classifier puts first (Sec. 3.2.2).
    """

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

    def predict(self, images: pa.Table, paths: Sequence[str], on_batch: OnBatch) -> pa.Table:
        """Rows of the predictions table.

        Args:
            images: catalog rows.
            paths: their files, in the same order.
            on_batch: called with the number of images done, after each batch.
        """
        fractions, labels, probs = [], [], []
        for fractions_N4, logits_NK, ok_N in self._batches(images, paths, on_batch):
            assert logits_NK is not None, "the classifier has no class head"
            top = logits_NK.float().softmax(dim=1).topk(min(_TOP, logits_NK.shape[1]))
            fractions.append(fractions_N4)
            labels += [row if ok else [] for row, ok in zip(top.indices.tolist(), ok_N, strict=True)]
            probs += [row if ok else [] for row, ok in zip(top.values.tolist(), ok_N, strict=True)]
        boxes_N4 = fractions_to_xyxy(np.concatenate(fractions), *_sizes(images))
        columns = {"image_id": images.column("image_id"), **box_columns(boxes_N4)}
        return pa.table({**columns, "top_labels": labels, "top_probs": probs}).cast(PREDICTIONS)

    def locate(self, images: pa.Table, paths: Sequence[str], on_batch: OnBatch) -> pa.Table:
        """Rows of the boxes table, for a second round: what DDT alone can say of a box is NaN.

        For the arguments see `predict`.
        """
        batches = list(self._batches(images, paths, on_batch))
        fractions_N4 = np.concatenate([batch.fractions_N4 for batch in batches])
        ok_N = np.concatenate([batch.ok_N for batch in batches])
        unknown_N = np.full(len(images), np.nan, np.float32)
        columns = {
            **{name: images.column(name) for name in ("image_id", "label", "width", "height")},
            **box_columns(fractions_to_xyxy(fractions_N4, *_sizes(images))),
            "status": np.where(ok_N, OK, UNREADABLE),
            "area_fraction": area(fractions_to_xyxy(fractions_N4, 1, 1)).astype(np.float32),
            **dict.fromkeys(("mean_heat", "explained_variance_ratio", "sign_margin"), unknown_N),
        }
        return pa.table(columns).cast(BOXES)

    def _batches(self, images: pa.Table, paths: Sequence[str], on_batch: OnBatch) -> Iterator[_Batch]:
        width_N, _ = _sizes(images)
        done = 0
        for for_boxes, for_classes in prefetch(self._decode(paths)):
            fractions_N4, logits_NK = self._forward(for_boxes, for_classes)
            # An image without a size in the catalog is unreadable, even where the decoder could take it.
            sized_N = width_N[done : done + len(for_boxes.ok_N)] > 0
            ok_N = for_boxes.ok_N & for_classes.ok_N & sized_N
            yield _Batch(np.where(ok_N[:, None], fractions_N4.cpu().numpy(), np.nan), logits_NK, ok_N)
            done += len(ok_N)
            on_batch(done)

    def _decode(self, paths: Sequence[str]) -> Iterator[tuple[DecodedBatch, DecodedBatch]]:
        for start in range(0, len(paths), self._batch_size):
            batch = paths[start : start + self._batch_size]
            for_boxes = self._localizer[1].decode(batch)
            shared = self._classifier[1] is self._localizer[1]
            yield for_boxes, (for_boxes if shared else self._classifier[1].decode(batch))

    @torch.inference_mode()
    def _forward(self, for_boxes: DecodedBatch, for_classes: DecodedBatch) -> tuple[torch.Tensor, torch.Tensor | None]:
        with self._autocast():
            outputs = self._localizer[0](for_boxes.images_NHWC)
            boxes_NR4, logits_NK = outputs.boxes_NR4, outputs.logits_NK
            if self._classifier[0] is not self._localizer[0]:
                logits_NK = self._classifier[0](for_classes.images_NHWC).logits_NK
        assert boxes_NR4 is not None, "the localizer has no box head"
        return _box_of_image(boxes_NR4, logits_NK).double(), logits_NK


def _box_of_image(boxes_NR4: torch.Tensor, logits_NK: torch.Tensor | None) -> torch.Tensor:
    """The only box, or that of the first class: shape (N, 4)."""
    if boxes_NR4.shape[1] == 1:
        return boxes_NR4[:, 0]
    assert logits_NK is not None, "boxes of several classes, and nothing to choose the class by"
    return boxes_NR4[torch.arange(len(boxes_NR4), device=boxes_NR4.device), logits_NK.argmax(dim=1)]


def _sizes(images: pa.Table) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    width_N, height_N = (images.column(name).to_numpy().astype(np.float64) for name in ("width", "height"))
    return width_N, height_N
