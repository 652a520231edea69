"""The trained networks over images, squashed to each network's input (Sec. 3.2.2, 3.2.3)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from psol_ray.geometry.boxes import area
from psol_ray.images.decoder import DecodedBatch, Decoder
from psol_ray.images.prefetch import prefetch
from psol_ray.models.networks import Outputs
from psol_ray.prediction.views import View
from psol_ray.tables.schemas import BOXES, OK, PREDICTIONS, UNREADABLE, box_columns

__all__ = ["Eye", "Predictor"]

_TOP = 5

Network = Callable[[torch.Tensor], Outputs]
OnBatch = Callable[[int], None]


class Eye(NamedTuple):
    """A network, what it sees, and which of its classes are the catalog's, in the order of labels; None is all."""

    network: Network
    view: View
    columns: Sequence[int] | None = None


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
        localizer: Eye,
        classifiers: Sequence[Eye],
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

    def predict(self, images: pa.Table, paths: Sequence[str], on_batch: OnBatch) -> pa.Table:
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
        done = 0
        for decoded in prefetch(self._decode(paths)):
            fractions_N4, probs_NK = self._forward(decoded)
            readable_N = np.logical_and.reduce([batch.ok_N for batch in decoded.values()])
            rows = slice(done, done + len(readable_N))
            # An image without a size in the catalog is unreadable, even where the decoder could take it.
            ok_N = readable_N & (sizes_N2[rows, 0] > 0)
            boxes_N4 = self._localizer.view.in_image(fractions_N4.cpu().numpy(), sizes_N2[rows])
            yield _Batch(np.where(ok_N[:, None], boxes_N4, np.nan), probs_NK, ok_N)
            done += len(ok_N)
            on_batch(done)

    def _decode(self, paths: Sequence[str]) -> Iterator[dict[int, DecodedBatch]]:
        sides = dict.fromkeys(eye.view.resize for eye in (self._localizer, *self._classifiers))
        for start in range(0, len(paths), self._batch_size):
            yield {side: self._decoders[side].decode(paths[start : start + self._batch_size]) for side in sides}

    @torch.inference_mode()
    def _forward(self, decoded: Mapping[int, DecodedBatch]) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Boxes as fractions of what the localizer sees, and class probabilities."""
        view = self._localizer.view
        with self._autocast():
            located = self._localizer.network(view.cut(decoded[view.resize].images_NHWC, 0))
            probs = [self._probabilities(eye, decoded, located) for eye in self._classifiers]
        probs_NK = torch.stack(probs).mean(dim=0) if probs else None
        assert located.boxes_NR4 is not None, "the localizer has no box head"
        return _box_of_image(located.boxes_NR4, probs_NK).double(), probs_NK

    def _probabilities(self, eye: Eye, decoded: Mapping[int, DecodedBatch], located: Outputs) -> torch.Tensor:
        """Mean over the crops of one classifier: of probabilities, not of logits."""
        if eye.network is self._localizer.network and eye.view == self._localizer.view:
            logits = [located.logits_NK]
        else:
            images_NHWC = decoded[eye.view.resize].images_NHWC
            logits = [eye.network(eye.view.cut(images_NHWC, i)).logits_NK for i in range(eye.view.num_crops)]
        probs = []
        for logits_NK in logits:
            assert logits_NK is not None, "the classifier has no class head"
            probs.append(logits_NK.float().softmax(dim=1))
        probs_NK = torch.stack(probs).mean(dim=0)
        return probs_NK if eye.columns is None else probs_NK[:, list(eye.columns)]


def _box_of_image(boxes_NR4: torch.Tensor, probs_NK: torch.Tensor | None) -> torch.Tensor:
    """The only box, or that of the first class: shape (N, 4)."""
    if boxes_NR4.shape[1] == 1:
        return boxes_NR4[:, 0]
    assert probs_NK is not None, "boxes of several classes, and nothing to choose the class by"
    return boxes_NR4[torch.arange(len(boxes_NR4), device=boxes_NR4.device), probs_NK.argmax(dim=1)]


def _sizes(images: pa.Table) -> NDArray[np.int64]:
    """(width, height) of each image: shape (N, 2)."""
    return np.stack([images.column(name).to_numpy().astype(np.int64) for name in ("width", "height")], axis=1)
