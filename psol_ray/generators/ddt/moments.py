"""Exact incremental PCA: moments that merge, and the first component of the merged whole (Sec. 3.2.1).

Shape suffixes: R descriptors (one a cell of the feature map), C channels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from psol_ray.generators.ddt.eigen import beside_the_network, first_eigenpair

__all__ = ["Component", "Moments", "split_scatter"]


@dataclass(frozen=True)
class Component:
    """The direction in which a class's descriptors vary most, of unit length and of no particular sign."""

    mean_C: torch.Tensor
    direction_C: torch.Tensor
    explained_variance_ratio: float

    def to(self, device: torch.device) -> "Component":
        """A float32 copy on another device."""
        mean_C, direction_C = (tensor.to(device, torch.float32) for tensor in (self.mean_C, self.direction_C))
        return Component(mean_C, direction_C, self.explained_variance_ratio)

    def project(self, descriptors: torch.Tensor) -> torch.Tensor:
        """Heat of each descriptor, `(..., C)` to `(...)`, float32, but for its sign."""
        # Centred first: far from zero, the difference of two large products would lose the digits that matter.
        return (descriptors.float() - self.mean_C.float()) @ self.direction_C.float()


@dataclass
class Moments:
    """Count, mean and centred scatter of descriptors, float64, kept on the device where the descriptors are.

    Merging is exact (Chan, Golub and LeVeque 1979), so any split of the data in any order gives the same component.
    """

    count: int
    mean_C: torch.Tensor
    scatter_CC: torch.Tensor

    @classmethod
    def empty(cls, num_channels: int, device: torch.device | str = "cpu") -> "Moments":
        """Those of no descriptor."""
        shape = (num_channels, num_channels)
        mean_C = torch.zeros(num_channels, dtype=torch.float64, device=device)
        return cls(0, mean_C, torch.zeros(shape, dtype=torch.float64, device=device))

    def update(self, descriptors_RC: torch.Tensor) -> None:
        """Add a batch. Nothing waits for a GPU.

        Products have float32's precision, sums over batches float64's.
        """
        if not len(descriptors_RC):
            return
        count = len(descriptors_RC)
        mean_C = descriptors_RC.mean(dim=0, dtype=torch.float32)
        # Centred before it is squared, so that float32 loses nothing that matters to the difference.
        centred_RC = descriptors_RC.float() - mean_C
        # float32's rounded mean leaves a residue in the rows, which belongs to the mean and not to the scatter.
        residue_C = centred_RC.mean(dim=0, dtype=torch.float64)
        scatter_CC = _scatter(centred_RC).double() - count * torch.outer(residue_C, residue_C)
        self.merge(Moments(count, mean_C.double() + residue_C, scatter_CC))

    def merge(self, other: "Moments") -> None:
        """Add the moments of other descriptors, of the same device."""
        if not other.count:
            return
        count = self.count + other.count
        shift_C = other.mean_C - self.mean_C
        self.scatter_CC += other.scatter_CC + torch.outer(shift_C, shift_C) * (self.count * other.count / count)
        self.mean_C = self.mean_C + shift_C * (other.count / count)
        self.count = count

    def cpu(self) -> "Moments":
        """A copy in main memory, fit to travel."""
        return Moments(self.count, self.mean_C.cpu(), self.scatter_CC.cpu())

    def component(self) -> Component:
        """The first principal component, of unit length and of no particular sign.

        Where nothing varies (one descriptor, all equal) the direction is zero and so is every projection: such a
        class has no foreground.

        Raises:
            ValueError: a descriptor was NaN or infinite, or there was none.
        """
        with beside_the_network(self.scatter_CC.device):
            is_finite, total, mean_square = torch.stack(
                [
                    torch.isfinite(self.scatter_CC).all().double(),
                    self.scatter_CC.trace(),
                    self.mean_C.square().sum(),
                ]
            ).tolist()
            if not self.count or not is_finite:
                raise ValueError(
                    f"found no finite moments of {self.count} descriptors, expected finite features; are the weights"
                    " whole?"
                )
            mean_C = self.mean_C.cpu()
            if total <= 1e-12 * self.count * mean_square or total == 0:
                return Component(mean_C, torch.zeros_like(mean_C), 0.0)
            value, direction_C = first_eigenpair(self.scatter_CC)
            return Component(mean_C, direction_C, max(value, 0.0) / total)


def split_scatter(
    centred_RC: torch.Tensor, product: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """`centred_RC.T @ centred_RC` by products of bfloat16, which a GPU's matrix units take, of (R, C) float32.

    Each value is the sum of two of bfloat16, which carry 16 bits; the square of the lower one lies below these and is
    left out. A single product of bfloat16, or of TF32, would leave 8 or 10 bits.

    Args:
        centred_RC: rows whose mean is about zero.
        product: of two bfloat16 matrices, with sums and result in float32.
    """
    high_RC = centred_RC.bfloat16()
    low_RC = (centred_RC - high_RC).bfloat16()
    crossed_CC = product(high_RC.T, low_RC)
    return product(high_RC.T, high_RC) + crossed_CC + crossed_CC.T


def _scatter(centred_RC: torch.Tensor) -> torch.Tensor:
    """`centred_RC.T @ centred_RC` in float32, or as good as that."""
    if centred_RC.device.type == "cuda":
        return split_scatter(centred_RC, partial(torch.mm, out_dtype=torch.float32))
    return centred_RC.T @ centred_RC
