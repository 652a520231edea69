"""Try a network out before work begins: timm's thousand are too many to know what each can do.

Tried on shapes alone, without memory or arithmetic, where these tell. A few networks ask for a value on their way, and
some of one input size look up tables that are too short for others, of which shapes say nothing: these really run.
"""

from collections.abc import Callable

import torch

from psol_ray.errors import UserError, first_line
from psol_ray.models.backbones import Backbone
from psol_ray.models.features import FeatureExtractor
from psol_ray.models.lookup import backbone_of
from psol_ray.models.saved import SavedNetwork

__all__ = ["check_map", "check_training"]

_BATCH = 2  # batch normalisation over a single image has no variance
_MAP_DIMS = 4


def check_map(section: str, name: str, input_size: int) -> None:
    """Look whether DDT finds a feature map in a backbone.

    Args:
        section: of the configuration, whose fields `backbone` and `input_size` are meant.
        name: of the backbone.
        input_size: side of its input in pixels.

    Raises:
        UserError: the backbone is unknown, has no map, or takes images of another size.
    """

    def run(backbone: Backbone, size: int) -> None:
        extract = FeatureExtractor(backbone, {})
        map_Nhwc = extract(_images(size))
        if map_Nhwc.ndim != _MAP_DIMS or len(map_Nhwc) != _BATCH:
            raise ValueError(f"its features are of shape {tuple(map_Nhwc.shape)}, and no map")

    _try(section, backbone_of(section, name), input_size, run, "has no feature map that DDT could read")


def check_training(section: str, saved: SavedNetwork) -> None:
    """Look whether a network can be built, trained and used; for `section` see `check_map`.

    Raises:
        UserError: it cannot, or takes images of another size.
    """

    def run(_backbone: Backbone, size: int) -> None:
        network = SavedNetwork(saved.backbone, size, saved.num_boxes, saved.num_classes).build(for_training=True)
        for training in (True, False):
            network.train(training)(_images(size))

    _try(section, backbone_of(section, saved.backbone), saved.input_size, run, "cannot be trained")


def _images(size: int) -> torch.Tensor:
    return torch.zeros((_BATCH, size, size, 3), dtype=torch.uint8)


def _try(section: str, backbone: Backbone, size: int, run: Callable[[Backbone, int], None], verdict: str) -> None:
    reason = _reason(backbone, size, run)
    if reason is None:
        return
    own = backbone.input_size
    if own != size and _reason(backbone, own, run) is None:
        raise UserError(
            f"{section}.input_size: found {size}, of which backbone {backbone.name!r} takes no images ({reason}),"
            f" expected {own}, for which it is made; use --{section}.input_size {own}"
        )
    raise UserError(f"{section}.backbone: {backbone.name!r} {verdict} ({reason}); give another one, such as resnet50")


def _reason(backbone: Backbone, size: int, run: Callable[[Backbone, int], None]) -> str | None:
    """Why the network does not work on images of this size; None where it does."""
    reason = None
    for device in ("cpu",) if _must_run(backbone, size) else ("meta", "cpu"):
        try:
            with torch.device(device), torch.no_grad():
                run(backbone, size)
        except Exception as error:  # networks raise whatever they trip over
            reason = first_line(error, 120).rstrip(".") or f"{type(error).__name__} in its code"
            if "meta" not in reason.lower():
                return reason
        else:
            return None
    return reason


def _must_run(backbone: Backbone, size: int) -> bool:
    if not backbone.fixed_input or size == backbone.input_size:
        return False
    with torch.device("meta"):
        return not hasattr(backbone.build(), "dynamic_img_size")
