"""The trained networks over images, squashed to each network's input (Sec. 3.2.2, 3.2.3)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from psol_ray.images.batch import DecodedBatch, Decoder
from psol_ray.images.batches import decode_ahead, has_size
from psol_ray.models.networks import Outputs
from psol_ray.prediction.networks import NetworkView
from psol_ray.storage.addresses import Address
from psol_ray.tables.boxes_table import area_fractions, boxes_table, image_sizes
from psol_ray.tables.schemas import OK, PREDICTIONS, UNREADABLE, box_columns

__all__ = ["Predictor"]

_TOP = 5

OnBatch = Callable[[int], None]


class _Batch(NamedTuple):
    """`boxes_N4` is in pixels of the image, NaN for one that cannot be read; `probs_NK` None without a classifier."""

    boxes_N4: NDArray[np.float64]
    probs_NK: torch.Tensor | None
    ok_N: NDArray[np.bool_]


class Predictor:
    """A localizer, and classifiers whose probabilities are averaged; a network that is both runs once.

    A localizer of single-class regression gives one box an image. One of per-class regression gives a box for each
    class, and the image's is that of the class which the classifiers put first (Sec. 3.2.2).
    """

    def __init__(
        self,
        localizer: NetworkView,
        classifiers: Sequence[NetworkView],
        decoders: Mapping[int, Decoder],
        *,
        batch_size: int,
        autocast: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """Args:
        localizer: says boxes; its view is not of ten crops.
        classifiers: of one image the probabilities of all classifiers and all their crops are averaged; none leaves
            images without labels.
        decoders: by the side in pixels of the squares they make; one for the `resize` of every view.
        batch_size: images a forward pass.
        autocast: a context for forward passes.
        """
        self._localizer, self._classifiers, self._decoders = localizer, classifiers, decoders
        self._batch_size, self._autocast = batch_size, autocast

    def predict(self, images: pa.Table, paths: Sequence[Address], on_batch: OnBatch) -> pa.Table:
        """Rows of the predictions table.

        Args:
            images: catalog rows.
            paths: their files, in the same order.
            on_batch: called with the number of images done, after each batch.
        """
        boxes, labels, probs = [], [], []
        for boxes_N4, probs_NK, ok_N in self._batches(images, paths, on_batch):
            boxes.append(boxes_N4)
            if probs_NK is None:
                probs_NK = torch.zeros(len(ok_N), 0)
            top = probs_NK.topk(min(_TOP, probs_NK.shape[1]))
            labels += [row if ok else [] for row, ok in zip(top.indices.tolist(), ok_N, strict=True)]
            probs += [row if ok else [] for row, ok in zip(top.values.tolist(), ok_N, strict=True)]
        columns = {"image_id": images.column("image_id"), **box_columns(np.concatenate(boxes))}
        # With their types, which lists that are all empty do not tell.
        tops = {"top_labels": labels, "top_probs": probs}
        columns |= {name: pa.array(lists, PREDICTIONS.field(name).type) for name, lists in tops.items()}
        return pa.table(columns).cast(PREDICTIONS)

    def locate(self, images: pa.Table, paths: Sequence[Address], on_batch: OnBatch) -> pa.Table:
        """Rows of the boxes table, for a second round: what DDT alone can say of a box is NaN.

        For the arguments see `predict`.
        """
        batches = list(self._batches(images, paths, on_batch))
        boxes_N4 = np.concatenate([batch.boxes_N4 for batch in batches])
        ok_N = np.concatenate([batch.ok_N for batch in batches])
        areas_N = area_fractions(boxes_N4, image_sizes(images))
        return boxes_table(images, boxes_N4, np.where(ok_N, OK, UNREADABLE), area_fraction=areas_N)

    def _batches(self, images: pa.Table, paths: Sequence[Address], on_batch: OnBatch) -> Iterator[_Batch]:
        sizes_N2, sized_N = image_sizes(images), has_size(images)
        for rows, decoded in decode_ahead(paths, self._decode, self._batch_size, len(self._sides)):
            fractions_N4, probs_NK = self._forward(decoded)
            ok_N = np.logical_and.reduce([batch.ok_N for batch in decoded.values()]) & sized_N[rows]
            boxes_N4 = self._localizer.view.in_image(fractions_N4.cpu().numpy(), sizes_N2[rows])
            yield _Batch(np.where(ok_N[:, None], boxes_N4, np.nan), probs_NK, ok_N)
            on_batch(rows.stop)

    def _decode(self, paths: Sequence[Address]) -> dict[int, DecodedBatch]:
        return {side: self._decoders[side].decode(paths) for side in self._sides}

    @property
    def _sides(self) -> list[int]:
        return list(dict.fromkeys(each.view.resize for each in (self._localizer, *self._classifiers)))

    @torch.inference_mode()
    def _forward(self, decoded: Mapping[int, DecodedBatch]) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Boxes as fractions of what the localizer sees, and class probabilities."""
        view = self._localizer.view
        with self._autocast():
            located = self._localizer.network(view.cut(decoded[view.resize].images_NHWC, 0))
            probs = [self._probabilities(each, decoded, located) for each in self._classifiers]
        probs_NK = torch.stack(probs).mean(dim=0) if probs else None
        assert located.boxes_NR4 is not None, "the localizer has no box head"
        return _box_of_image(located.boxes_NR4, probs_NK).double(), probs_NK

    def _probabilities(self, each: NetworkView, decoded: Mapping[int, DecodedBatch], located: Outputs) -> torch.Tensor:
        """Mean over the crops of one classifier: of probabilities, not of logits."""
        if each.network is self._localizer.network and each.view == self._localizer.view:
            logits = [located.logits_NK]
        else:
            images_NHWC = decoded[each.view.resize].images_NHWC
            logits = [each.network(each.view.cut(images_NHWC, i)).logits_NK for i in range(each.view.num_crops)]
        probs = []
        for logits_NK in logits:
            assert logits_NK is not None, "the classifier has no class head"
            probs.append(logits_NK.float().softmax(dim=1))
        probs_NK = torch.stack(probs).mean(dim=0)
        return probs_NK if each.columns is None else probs_NK[:, list(each.columns)]


def _box_of_image(boxes_NR4: torch.Tensor, probs_NK: torch.Tensor | None) -> torch.Tensor:
    """The only box, or that of the first class: shape (N, 4)."""
    if boxes_NR4.shape[1] == 1:
        return boxes_NR4[:, 0]
    assert probs_NK is not None, "boxes of several classes, and nothing to choose the class by"
    return boxes_NR4[torch.arange(len(boxes_NR4), device=boxes_NR4.device), probs_NK.argmax(dim=1)]
