"""Exact incremental PCA: moments that merge, and the first component of the merged whole.

Shape suffixes: R descriptors (one a cell of the feature map), C channels.
"""

from dataclasses import dataclass

import torch

__all__ = ["Component", "Moments"]


@dataclass(frozen=True)
class Component:
    """The direction in which a class's descriptors vary most, oriented.

    `margin` says how clearly the sign was decided, 0 (a coin toss) to 1.
    """

    mean_C: torch.Tensor
    direction_C: torch.Tensor
    explained_variance_ratio: float
    margin: float = 0.0

    def project(self, descriptors: torch.Tensor) -> torch.Tensor:
        """Heat of each descriptor, `(..., C)` to `(...)`, float32."""
        mean_C = self.mean_C.to(descriptors.device, torch.float32)
        # Centred first: far from zero, the difference of two large products would lose the digits that matter.
        return (descriptors.float() - mean_C) @ self.direction_C.to(descriptors.device, torch.float32)

    def oriented(self, lowest: float, highest: float) -> "Component":
        """Sign such that the projection farthest from zero is positive.

        An eigenvector has no sign, and the wrong one turns a whole class inside out. Foreground is the smaller and
        the sharper side of a class's descriptors, so its projections reach farther. The rule needs only the extremes
        of the projections, which merge over batches, actors and nodes.

        Args:
            lowest: smallest projection of the class's training descriptors.
            highest: largest one.
        """
        farthest = max(abs(lowest), abs(highest))
        margin = abs(lowest + highest) / farthest if farthest > 0 else 0.0
        sign = -1.0 if -lowest > highest else 1.0
        return Component(self.mean_C, sign * self.direction_C, self.explained_variance_ratio, margin)


class Moments:
    """Count, mean and centred scatter of descriptors, float64 on the CPU.

    Merging is exact (Chan, Golub and LeVeque 1979), so any split of the data in any order gives the same component.
    """

    def __init__(self, num_channels: int) -> None:
        self.count = 0
        self.mean_C = torch.zeros(num_channels, dtype=torch.float64)
        self.scatter_CC = torch.zeros(num_channels, num_channels, dtype=torch.float64)

    def update(self, descriptors_RC: torch.Tensor) -> None:
        """Add a batch; the products run in float32 where the descriptors are."""
        if not len(descriptors_RC):
            return
        mean_C = descriptors_RC.mean(
            dim=0, dtype=torch.float64 if descriptors_RC.device.type == "cpu" else torch.float32
        )
        # Centred before it is squared, so that float32 loses nothing that matters to the difference.
        centred_RC = descriptors_RC.float() - mean_C.float()
        batch = Moments(descriptors_RC.shape[1])
        batch.count = len(descriptors_RC)
        # float32's rounded mean leaves a residue in the rows, which belongs to the mean and not to the scatter.
        residue_C = centred_RC.mean(dim=0)
        batch.mean_C = (mean_C.float().double() + residue_C.double()).cpu()
        batch.scatter_CC = (centred_RC.T @ centred_RC).double().cpu()
        batch.scatter_CC -= batch.count * torch.outer(residue_C.double().cpu(), residue_C.double().cpu())
        self.merge(batch)

    def merge(self, other: "Moments") -> None:
        """Add the moments of other descriptors."""
        if not other.count:
            return
        count = self.count + other.count
        shift_C = other.mean_C - self.mean_C
        self.scatter_CC += other.scatter_CC + torch.outer(shift_C, shift_C) * (self.count * other.count / count)
        self.mean_C = self.mean_C + shift_C * (other.count / count)
        self.count = count

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
        total = self.scatter_CC.trace().item()
        scale = self.count * self.mean_C.square().sum().item()
        if total <= 1e-12 * scale or total == 0:
            return Component(self.mean_C, torch.zeros_like(self.mean_C), 0.0)
        values_C, vectors_CC = torch.linalg.eigh(self.scatter_CC)
        return Component(self.mean_C, vectors_CC[:, -1], max(values_C[-1].item(), 0.0) / total)
