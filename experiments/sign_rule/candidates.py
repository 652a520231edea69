"""Candidate rules for the sign of DDT's first component.

Each gives a score in [-1, 1] that turns its sign with the component: positive keeps the component as it is, and the
size is the rule's margin.

Shape suffixes: N images, h w cells of the feature map, C channels.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from psol_ray.generators.ddt.moments import Moments

__all__ = ["RULES", "Evidence", "gather"]


@dataclass(frozen=True)
class Evidence:
    """What the rules may look at: training descriptors alone, float64."""

    projection_Nhw: torch.Tensor
    energy_Nhw: torch.Tensor  # squared length of each descriptor
    direction_C: torch.Tensor
    mean_C: torch.Tensor
    scatter_CC: torch.Tensor


def gather(train_Nhwc: torch.Tensor) -> tuple[Evidence, Callable[[torch.Tensor], torch.Tensor]]:
    """The evidence of a class's training maps, and the projection on its unoriented component."""
    moments = Moments.empty(train_Nhwc.shape[-1])
    for part in train_Nhwc.split(64):
        moments.update(part.reshape(-1, part.shape[-1]))
    component = moments.component()
    projection_Nhw = torch.cat([component.project(part) for part in train_Nhwc.split(64)]).double()
    energy_Nhw = torch.cat([part.float().square().sum(-1) for part in train_Nhwc.split(64)]).double()
    found = Evidence(projection_Nhw, energy_Nhw, component.direction_C, moments.mean_C, moments.scatter_CC)
    return found, component.project


def _balance(low: torch.Tensor, high: torch.Tensor) -> float:
    """Whether `high` or `-low` reaches farther, in [-1, 1]."""
    farthest = torch.maximum(low.abs(), high.abs())
    return ((low + high) / farthest).item() if farthest > 0 else 0.0


def _correlation(a: torch.Tensor, b: torch.Tensor) -> float:
    a, b = a.flatten() - a.mean(), b.flatten() - b.mean()
    size = a.norm() * b.norm()
    return (a @ b / size).item() if size > 0 else 0.0


def _linear(found: Evidence, weights_C: torch.Tensor) -> float:
    """Correlation of projections with `x @ weights_C`, which the moments alone give."""
    v_C, scatter_CC = found.direction_C, found.scatter_CC
    size = torch.sqrt((v_C @ scatter_CC @ v_C) * (weights_C @ scatter_CC @ weights_C))
    return (v_C @ scatter_CC @ weights_C / size).item() if size > 0 else 0.0


def _extremes(found: Evidence) -> float:
    """Largest absolute projection; the same as the sign of lowest + highest, since centred projections have both."""
    low, high = found.projection_Nhw.aminmax()
    return _balance(low, high)


def _extremes_of_images(found: Evidence) -> float:
    p_Nr = found.projection_Nhw.flatten(1)
    return _balance(p_Nr.amin(1).mean(), p_Nr.amax(1).mean())


def _vote_of_images(found: Evidence) -> float:
    p_Nr = found.projection_Nhw.flatten(1)
    return (p_Nr.amin(1) + p_Nr.amax(1)).sign().mean().item()


def _quantiles(found: Evidence) -> float:
    sorted_R = found.projection_Nhw.flatten().sort().values
    tail = len(sorted_R) // 100
    return _balance(sorted_R[tail], sorted_R[-1 - tail])


def _third_moment(found: Evidence) -> float:
    cubes = found.projection_Nhw**3
    return (cubes.sum() / cubes.abs().sum()).item() if cubes.any() else 0.0


def _minority(found: Evidence) -> float:
    return -found.projection_Nhw.sign().mean().item()


def _largest_loading(found: Evidence) -> float:
    low, high = found.direction_C.aminmax()
    return _balance(low, high)


def _centre_prior(height: int, width: int) -> torch.Tensor:
    """Minus the squared distance from the image's centre."""
    y_h, x_w = (torch.linspace(-1, 1, side, dtype=torch.float64) for side in (height, width))
    return -(y_h[:, None] ** 2 + x_w[None] ** 2)


def _centre(found: Evidence) -> float:
    """Every image's own map against the prior: the projections' correlation with it."""
    p_Nhw = found.projection_Nhw
    return _correlation(p_Nhw, _centre_prior(*p_Nhw.shape[1:]).expand_as(p_Nhw))


def _centre_of_mean(found: Evidence) -> float:
    """Same sign as `_centre`, since the prior does not vary between images; another margin."""
    p_Nhw = found.projection_Nhw
    return _correlation(p_Nhw.mean(0), _centre_prior(*p_Nhw.shape[1:]))


def _border(p_Nhw: torch.Tensor) -> torch.Tensor:
    """Cells of the outermost ring, an `N x R` copy."""
    ring_hw = torch.ones(p_Nhw.shape[1:], dtype=torch.bool)
    ring_hw[1:-1, 1:-1] = False
    return p_Nhw[:, ring_hw]


def _border_mean(found: Evidence) -> float:
    border_Nr = _border(found.projection_Nhw)
    return -(border_Nr.sum() / border_Nr.abs().sum()).item() if border_Nr.any() else 0.0


def _energy(found: Evidence) -> float:
    return _correlation(found.projection_Nhw, found.energy_Nhw)


def _mean_activation(found: Evidence) -> float:
    return _linear(found, torch.ones_like(found.mean_C))


def _mean_descriptor(found: Evidence) -> float:
    return _linear(found, found.mean_C)


Rule = Callable[[Evidence], float]


def _sum_of(*rules: Rule) -> Rule:
    return lambda found: sum(rule(found) for rule in rules) / len(rules)


RULES: dict[str, Rule] = {
    "largest projection": _extremes,
    "mean of images' extremes": _extremes_of_images,
    "vote of images' extremes": _vote_of_images,
    "1 % and 99 % quantile": _quantiles,
    "third moment": _third_moment,
    "minority": _minority,
    "largest loading": _largest_loading,
    "mean activation = sum of loadings": _mean_activation,
    "mean descriptor": _mean_descriptor,
    "energy": _energy,
    "centre, every cell": _centre,
    "centre, mean map": _centre_of_mean,
    "border": _border_mean,
    "largest projection + centre": _sum_of(_extremes, _centre_of_mean),
    "images' extremes + centre": _sum_of(_extremes_of_images, _centre_of_mean),
    "third moment + centre": _sum_of(_third_moment, _centre_of_mean),
    "third moment + border": _sum_of(_third_moment, _border_mean),
    "minority + centre": _sum_of(_minority, _centre_of_mean),
    "minority + border": _sum_of(_minority, _border_mean),
    "third moment + centre + energy": _sum_of(_third_moment, _centre_of_mean, _energy),
}
