"""The trained networks over images, squashed to each network's input (Sec. 3.2.2, 3.2.3)."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from psol_ray.geometry.boxes import area, fractions_to_xyxy
from psol_ray.geometry.crops import center_crops
from psol_ray.images import DecodedBatch, Decoder, prefetch
from psol_ray.models.networks import Outputs
from psol_ray.tables.schemas import BOXES, OK, PREDICTIONS, UNREADABLE, box_columns

__all__ = ["Predictor"]

_TOP = 5

Network = Callable[[torch.Tensor], Outputs]
OnBatch = Callable[[int], None]


class _Batch(NamedTuple):
    """`boxes_N4` is in pixels of the image, NaN for one that cannot be read."""

    boxes_N4: NDArray[np.float64]
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
        share: float = 1,
    ) -> None:
        """Args:
        localizer, classifier: a network and a decoder of its input size, made with `regions=True` for a share
            below 1; the same pair twice runs once.
        batch_size: images a forward pass.
        autocast: a context for forward passes.
        share: of an image's sides that the networks see, in the middle.
        """
        self._localizer, self._classifier = localizer, classifier
        self._batch_size, self._autocast, self._share = batch_size, autocast, share

    def predict(self, images: pa.Table, paths: Sequence[str], on_batch: OnBatch) -> pa.Table:
        """Rows of the predictions table.

        Args:
            images: catalog rows.
            paths: their files, in the same order.
            on_batch: called with the number of images done, after each batch.
        """
        boxes, labels, probs = [], [], []
        for boxes_N4, logits_NK, ok_N in self._batches(images, paths, on_batch):
            assert logits_NK is not None, "the classifier has no class head"
            top = logits_NK.float().softmax(dim=1).topk(min(_TOP, logits_NK.shape[1]))
            boxes.append(boxes_N4)
            labels += [row if ok else [] for row, ok in zip(top.indices.tolist(), ok_N, strict=True)]
            probs += [row if ok else [] for row, ok in zip(top.values.tolist(), ok_N, strict=True)]
        columns = {"image_id": images.column("image_id"), **box_columns(np.concatenate(boxes))}
        return pa.table({**columns, "top_labels": labels, "top_probs": probs}).cast(PREDICTIONS)

    def locate(self, images: pa.Table, paths: Sequence[str], on_batch: OnBatch) -> pa.Table:
        """Rows of the boxes table, for a second round: what DDT alone can say of a box is NaN.

        For the arguments see `predict`.
        """
        batches = list(self._batches(images, paths, on_batch))
        boxes_N4 = np.concatenate([batch.boxes_N4 for batch in batches])
        ok_N = np.concatenate([batch.ok_N for batch in batches])
        unknown_N = np.full(len(images), np.nan, np.float32)
        columns = {
            **{name: images.column(name) for name in ("image_id", "label", "width", "height")},
            **box_columns(boxes_N4),
            "status": np.where(ok_N, OK, UNREADABLE),
            "area_fraction": (area(boxes_N4) / np.maximum(_sizes(images).prod(axis=1), 1)).astype(np.float32),
            **dict.fromkeys(("mean_heat", "explained_variance_ratio", "sign_margin"), unknown_N),
        }
        return pa.table(columns).cast(BOXES)

    def _batches(self, images: pa.Table, paths: Sequence[str], on_batch: OnBatch) -> Iterator[_Batch]:
        sizes_N2 = _sizes(images)
        regions_N4 = center_crops(sizes_N2, self._share)
        done = 0
        for for_boxes, for_classes in prefetch(self._decode(paths, regions_N4)):
            fractions_N4, logits_NK = self._forward(for_boxes, for_classes)
            rows = slice(done, done + len(for_boxes.ok_N))
            # An image without a size in the catalog is unreadable, even where the decoder could take it.
            ok_N = for_boxes.ok_N & for_classes.ok_N & (sizes_N2[rows, 0] > 0)
            boxes_N4 = _in_image(fractions_N4.cpu().numpy(), regions_N4[rows])
            yield _Batch(np.where(ok_N[:, None], boxes_N4, np.nan), logits_NK, ok_N)
            done += len(ok_N)
            on_batch(done)

    def _decode(
        self, paths: Sequence[str], regions_N4: NDArray[np.int64]
    ) -> Iterator[tuple[DecodedBatch, DecodedBatch]]:
        for start in range(0, len(paths), self._batch_size):
            rows = slice(start, start + self._batch_size)
            wanted = (paths[rows], regions_N4[rows] if self._share < 1 else None)
            for_boxes = self._localizer[1].decode(*wanted)
            shared = self._classifier[1] is self._localizer[1]
            yield for_boxes, (for_boxes if shared else self._classifier[1].decode(*wanted))

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


def _in_image(fractions_N4: NDArray[np.float64], regions_N4: NDArray[np.int64]) -> NDArray[np.float64]:
    """Boxes as fractions of regions, in pixels of the image."""
    corner_N2 = regions_N4[:, :2]
    width_N, height_N = (regions_N4[:, 2:] - corner_N2).T
    return np.add(fractions_to_xyxy(fractions_N4, width_N, height_N), np.tile(corner_N2, 2), dtype=np.float64)


def _sizes(images: pa.Table) -> NDArray[np.int64]:
    """(width, height) of each image: shape (N, 2)."""
    return np.stack([images.column(name).to_numpy().astype(np.int64) for name in ("width", "height")], axis=1)
