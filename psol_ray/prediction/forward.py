"""One batch through all networks of a prediction: the image's box, and its first classes (Sec. 3.2.2, 3.2.3)."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from copy import copy
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from psol_ray.images.batch import DecodedBatch
from psol_ray.models.networks import Outputs
from psol_ray.prediction.networks import NetworkView

__all__ = ["Forward", "Outcome"]

_TOP = 5


class Outcome(NamedTuple):
    """Of a batch, on the device: boxes as fractions of what the localizer sees, and the T first classes, 0 without a
    classifier."""

    fractions_N4: torch.Tensor
    labels_NT: torch.Tensor
    probs_NT: torch.Tensor
    ok_N: NDArray[np.bool_]


class Forward:
    """A localizer, and classifiers whose probabilities are averaged; a network that is both runs once.

    A localizer of single-class regression gives one box an image. One of per-class regression gives a box for each
    class, and the image's is that of the class which the classifiers put first (Sec. 3.2.2).
    """

    def __init__(
        self,
        localizer: NetworkView,
        classifiers: Sequence[NetworkView],
        *,
        device: torch.device,
        autocast: Callable[[], AbstractContextManager[None]],
    ) -> None:
        """Args:
        localizer: says boxes; its view is not of ten crops.
        classifiers: of one image the probabilities of all classifiers and all their crops are averaged; none leaves
            images without labels.
        device: of the networks.
        autocast: a context for forward passes.
        """
        self._localizer, self._classifiers, self._autocast = localizer, classifiers, autocast
        # On the device, or every batch would wait for a copy.
        self._columns = [
            None if each.columns is None else torch.tensor(each.columns, device=device) for each in classifiers
        ]

    def in_float32(self) -> "Forward":
        """The same networks in the precision of their weights."""
        exact = copy(self)
        exact._autocast = nullcontext
        return exact

    @property
    def networks(self) -> list[torch.nn.Module]:
        """All networks, those that are the same once."""
        all_of_them = {id(each.network): each.network for each in (self._localizer, *self._classifiers)}
        return [network for network in all_of_them.values() if isinstance(network, torch.nn.Module)]

    @property
    def sides(self) -> set[int]:
        """Sides in pixels of the squares that images are squashed to."""
        return {each.view.resize for each in (self._localizer, *self._classifiers)}

    @torch.inference_mode()
    def __call__(self, decoded: Mapping[int, DecodedBatch]) -> Outcome:
        """Boxes and classes of a batch.

        Args:
            decoded: by the side of their squares, those of every view's `resize`.
        """
        fractions_N4, probs_NK = self.say({side: batch.images_NHWC for side, batch in decoded.items()})
        fractions_N4 = fractions_N4.double()
        scores_NK = fractions_N4[:, :0] if probs_NK is None else probs_NK
        top = scores_NK.topk(min(_TOP, scores_NK.shape[1]))
        ok_N = np.logical_and.reduce([batch.ok_N for batch in decoded.values()])
        return Outcome(fractions_N4, top.indices, top.values, ok_N)

    def say(self, squares: Mapping[int, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Boxes `(N, 4)`, fractions of what the localizer sees, and probabilities `(N, K)`, None without a classifier.

        Args:
            squares: uint8 images `(N, S, S, 3)` by their side S, those of every view's `resize`.
        """
        view = self._localizer.view
        with self._autocast():
            located = self._localizer.network(view.cut(squares[view.resize], 0))
            probs = [self._probabilities(i, squares, located) for i in range(len(self._classifiers))]
        probs_NK = torch.stack(probs).mean(dim=0) if probs else None
        assert located.boxes_NR4 is not None, "the localizer has no box head"
        return _box_of_image(located.boxes_NR4, probs_NK), probs_NK

    def _probabilities(self, number: int, squares: Mapping[int, torch.Tensor], located: Outputs) -> torch.Tensor:
        """Mean over the crops of one classifier: of probabilities, not of logits."""
        each, columns = self._classifiers[number], self._columns[number]
        if each.network is self._localizer.network and each.view == self._localizer.view:
            logits = [located.logits_NK]
        else:
            images_NHWC = squares[each.view.resize]
            logits = [each.network(each.view.cut(images_NHWC, i)).logits_NK for i in range(each.view.num_crops)]
        probs = []
        for logits_NK in logits:
            assert logits_NK is not None, "the classifier has no class head"
            probs.append(logits_NK.float().softmax(dim=1))
        probs_NK = torch.stack(probs).mean(dim=0)
        return probs_NK if columns is None else probs_NK[:, columns]


def _box_of_image(boxes_NR4: torch.Tensor, probs_NK: torch.Tensor | None) -> torch.Tensor:
    """The only box, or that of the first class: shape (N, 4)."""
    if boxes_NR4.shape[1] == 1:
        return boxes_NR4[:, 0]
    assert probs_NK is not None, "boxes of several classes, and nothing to choose the class by"
    return boxes_NR4[torch.arange(len(boxes_NR4), device=boxes_NR4.device), probs_NK.argmax(dim=1)]
