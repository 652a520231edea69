"""The trained networks over images, squashed to each network's input (Sec. 3.2.2, 3.2.3)."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from psol_ray.images.batch import DecodedBatch, Decoder
from psol_ray.images.batch_stream import BatchStream
from psol_ray.images.batches import has_size
from psol_ray.models.networks import Outputs
from psol_ray.prediction.networks import NetworkView
from psol_ray.storage.addresses import Address
from psol_ray.tables.boxes_table import area_fractions, boxes_table, image_sizes
from psol_ray.tables.schemas import OK, PREDICTIONS, UNREADABLE, box_columns

__all__ = ["Predictor"]

_TOP = 5

OnBatch = Callable[[int], None]


class _Outcome(NamedTuple):
    """Of a batch, on the device: boxes as fractions of what the localizer sees, and the T first classes, 0 without a
    classifier."""

    fractions_N4: torch.Tensor
    labels_NT: torch.Tensor
    probs_NT: torch.Tensor
    ok_N: NDArray[np.bool_]


class _Rows(NamedTuple):
    """Of a job, in main memory: `boxes_N4` is in pixels of the image, NaN for one that cannot be read."""

    boxes_N4: NDArray[np.float64]
    labels_NT: torch.Tensor
    probs_NT: torch.Tensor
    ok_N: NDArray[np.bool_]


class Predictor:
    """A localizer, and classifiers whose probabilities are averaged; a network that is both runs once.

    A localizer of single-class regression gives one box an image. One of per-class regression gives a box for each
    class, and the image's is that of the class which the classifiers put first (Sec. 3.2.2).

    Two jobs may be done at once, each in a thread; see `BatchStream`.
    """

    def __init__(
        self,
        localizer: NetworkView,
        classifiers: Sequence[NetworkView],
        decoders: Sequence[Mapping[int, Decoder]],
        *,
        batch_size: int,
        device: torch.device,
        autocast: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """Args:
        localizer: says boxes; its view is not of ten crops.
        classifiers: of one image the probabilities of all classifiers and all their crops are averaged; none leaves
            images without labels.
        decoders: by the side in pixels of the squares they make, one for the `resize` of every view; of several such
            sets, one reads files while another's pixels are decoded.
        batch_size: images a forward pass.
        device: of the networks.
        autocast: a context for forward passes.
        """
        self._localizer, self._classifiers, self._autocast = localizer, classifiers, autocast
        # On the device, or every batch would wait for a copy.
        self._columns = [
            None if each.columns is None else torch.tensor(each.columns, device=device) for each in classifiers
        ]
        self._num_decoders = len(decoders[0])
        self._stream = BatchStream([partial(_decode, each) for each in decoders], batch_size, device)

    def predict(self, images: pa.Table, paths: Sequence[Address], on_batch: OnBatch) -> pa.Table:
        """Rows of the predictions table.

        Args:
            images: catalog rows.
            paths: their files, in the same order.
            on_batch: called with the number of images done, after each batch.
        """
        rows = self._rows(images, paths, on_batch)
        columns = {"image_id": images.column("image_id"), **box_columns(rows.boxes_N4)}
        # With their types, which lists that are all empty do not tell.
        tops = {
            name: [row if ok else [] for row, ok in zip(top_NT.tolist(), rows.ok_N, strict=True)]
            for name, top_NT in (("top_labels", rows.labels_NT), ("top_probs", rows.probs_NT))
        }
        columns |= {name: pa.array(lists, PREDICTIONS.field(name).type) for name, lists in tops.items()}
        return pa.table(columns).cast(PREDICTIONS)

    def locate(self, images: pa.Table, paths: Sequence[Address], on_batch: OnBatch) -> pa.Table:
        """Rows of the boxes table, for a second round: what DDT alone can say of a box is NaN.

        For the arguments see `predict`.
        """
        rows = self._rows(images, paths, on_batch)
        areas_N = area_fractions(rows.boxes_N4, image_sizes(images))
        return boxes_table(images, rows.boxes_N4, np.where(rows.ok_N, OK, UNREADABLE), area_fraction=areas_N)

    def _rows(self, images: pa.Table, paths: Sequence[Address], on_batch: OnBatch) -> _Rows:
        batches = self._stream.map(paths, lambda _, decoded: self._forward(decoded), on_batch, self._num_decoders)
        fractions, labels, probs, oks = zip(*batches, strict=True)
        ok_N = np.concatenate(oks) & has_size(images)
        # One copy each to main memory, and so one wait for a GPU.
        fractions_N4, labels_NT, probs_NT = (torch.cat(each).cpu() for each in (fractions, labels, probs))
        boxes_N4 = self._localizer.view.in_image(fractions_N4.numpy(), image_sizes(images))
        return _Rows(np.where(ok_N[:, None], boxes_N4, np.nan), labels_NT, probs_NT, ok_N)

    @torch.inference_mode()
    def _forward(self, decoded: Mapping[int, DecodedBatch]) -> _Outcome:
        view = self._localizer.view
        with self._autocast():
            located = self._localizer.network(view.cut(decoded[view.resize].images_NHWC, 0))
            probs = [self._probabilities(i, decoded, located) for i in range(len(self._classifiers))]
        probs_NK = torch.stack(probs).mean(dim=0) if probs else None
        assert located.boxes_NR4 is not None, "the localizer has no box head"
        fractions_N4 = _box_of_image(located.boxes_NR4, probs_NK).double()
        scores_NK = fractions_N4[:, :0] if probs_NK is None else probs_NK
        top = scores_NK.topk(min(_TOP, scores_NK.shape[1]))
        ok_N = np.logical_and.reduce([batch.ok_N for batch in decoded.values()])
        return _Outcome(fractions_N4, top.indices, top.values, ok_N)

    def _probabilities(self, number: int, decoded: Mapping[int, DecodedBatch], located: Outputs) -> torch.Tensor:
        """Mean over the crops of one classifier: of probabilities, not of logits."""
        each, columns = self._classifiers[number], self._columns[number]
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
        return probs_NK if columns is None else probs_NK[:, columns]


def _decode(decoders: Mapping[int, Decoder], paths: Sequence[Address]) -> dict[int, DecodedBatch]:
    return {side: decoder.decode(paths) for side, decoder in decoders.items()}


def _box_of_image(boxes_NR4: torch.Tensor, probs_NK: torch.Tensor | None) -> torch.Tensor:
    """The only box, or that of the first class: shape (N, 4)."""
    if boxes_NR4.shape[1] == 1:
        return boxes_NR4[:, 0]
    assert probs_NK is not None, "boxes of several classes, and nothing to choose the class by"
    return boxes_NR4[torch.arange(len(boxes_NR4), device=boxes_NR4.device), probs_NK.argmax(dim=1)]
