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
from psol_ray.prediction.forward import Forward
from psol_ray.prediction.networks import NetworkView
from psol_ray.storage.addresses import Address
from psol_ray.tables.boxes_table import area_fractions, boxes_table, image_sizes
from psol_ray.tables.schemas import OK, PREDICTIONS, UNREADABLE, box_columns

__all__ = ["Predictor"]

OnBatch = Callable[[int], None]


class _Rows(NamedTuple):
    """Of a job, in main memory: `boxes_N4` is in pixels of the image, NaN for one that cannot be read."""

    boxes_N4: NDArray[np.float64]
    labels_NT: torch.Tensor
    probs_NT: torch.Tensor
    ok_N: NDArray[np.bool_]


class Predictor:
    """The networks of `Forward` over files, and rows of what they say.

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
        localizer: see `Forward`.
        classifiers: see `Forward`.
        decoders: by the side in pixels of the squares they make, one for the `resize` of every view; of several such
            sets, one reads files while another's pixels are decoded.
        batch_size: images a forward pass.
        device: of the networks.
        autocast: a context for forward passes.
        """
        self._view = localizer.view
        self._forward = Forward(localizer, classifiers, device=device, autocast=autocast)
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
        boxes_N4 = self._view.in_image(fractions_N4.numpy(), image_sizes(images))
        return _Rows(np.where(ok_N[:, None], boxes_N4, np.nan), labels_NT, probs_NT, ok_N)


def _decode(decoders: Mapping[int, Decoder], paths: Sequence[Address]) -> dict[int, DecodedBatch]:
    return {side: decoder.decode(paths) for side, decoder in decoders.items()}
