"""Exact incremental PCA: moments that merge, and the first component of the merged whole (Sec. 3.2.1).

Shape suffixes: R descriptors (one a cell of the feature map), C channels.
"""

from dataclasses import dataclass

import numpy as np
import scipy.linalg
import threadpoolctl
import torch

__all__ = ["Component", "Moments"]


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
        """Add a batch; its products run in float32, its sums over batches in float64. Nothing waits for a GPU."""
        if not len(descriptors_RC):
            return
        count = len(descriptors_RC)
        mean_C = descriptors_RC.mean(dim=0, dtype=torch.float32)
        # Centred before it is squared, so that float32 loses nothing that matters to the difference.
        centred_RC = descriptors_RC.float() - mean_C
        # float32's rounded mean leaves a residue in the rows, which belongs to the mean and not to the scatter.
        residue_C = centred_RC.mean(dim=0, dtype=torch.float64)
        scatter_CC = (centred_RC.T @ centred_RC).double() - count * torch.outer(residue_C, residue_C)
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
        if not self.count or not torch.isfinite(self.scatter_CC).all():
            raise ValueError(
                f"found no finite moments of {self.count} descriptors, expected finite features; are the weights whole?"
            )
        here = self.cpu()
        total = here.scatter_CC.trace().item()
        scale = here.count * here.mean_C.square().sum().item()
        if total <= 1e-12 * scale or total == 0:
            return Component(here.mean_C, torch.zeros_like(here.mean_C), 0.0)
        # SciPy's can be asked for the last one alone, which takes a quarter of the time of all 512.
        last = len(here.mean_C) - 1
        # With one thread of BLAS: the network has all cores meanwhile, and last digits depend on the number of threads.
        with threadpoolctl.threadpool_limits(1, user_api="blas"):
            value, vector_C1 = scipy.linalg.eigh(here.scatter_CC.numpy(), subset_by_index=[last, last])
        direction_C = torch.from_numpy(np.ascontiguousarray(vector_C1[:, 0]))
        return Component(here.mean_C, direction_C, max(float(value[0]), 0.0) / total)
