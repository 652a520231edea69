"""Every backbone and what it needs to know, in one table; any name timm knows works beside it."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import nn

from psol_ray.errors import UserError
from psol_ray.geometry.crops import PAPER_CROP_SHARE
from psol_ray.models.libraries import load_timm, load_torchvision
from psol_ray.models.unfilled import on_no_device

__all__ = ["TORCHVISION", "Backbone", "find_backbone"]

Triple = tuple[float, float, float]

IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)
HALF: Triple = (0.5, 0.5, 0.5)


@dataclass(frozen=True)
class Backbone:
    """An architecture pretrained on ImageNet.

    `build` makes the whole classifier, untrained. `last_layers` are what PSOL's own heads replace: one, beside it that
    of a distilled network's second head, or none. `unused_by_features` are prefixes of the tensors behind the feature
    map, which DDT does without. `feature_node` is the module or fx node whose output is that map; None asks timm for
    it.
    """

    name: str
    build: Callable[[], nn.Module]
    input_size: int
    feature_node: str | None
    last_layers: tuple[str, ...]
    unused_by_features: tuple[str, ...]
    mean: Triple = IMAGENET_MEAN
    std: Triple = IMAGENET_STD
    pooled_by_gap: bool = False  # drop the whole classifier and average the feature map instead (VGG-GAP)
    torchvision_name: str | None = None
    crop_share: float = PAPER_CROP_SHARE  # side of the centre crop in evaluation, of the image's
    fixed_input: bool = False  # timm says that it is made for images of `input_size` alone


def _torchvision(name: str, architecture: str, **needs: object) -> Backbone:
    # VGG and Inception fill 140 M weights with random numbers unless told not to.
    arguments = {"init_weights": False} if architecture in ("vgg16", "inception_v3") else {}

    def build() -> nn.Module:
        return load_torchvision().models.get_model(architecture, weights=None, **arguments)

    return Backbone(name=name, build=build, torchvision_name=architecture, **needs)  # type: ignore[arg-type]


TORCHVISION: dict[str, Backbone] = {
    backbone.name: backbone
    for backbone in (
        _torchvision(
            "vgg16",
            "vgg16",
            input_size=224,
            feature_node="features",
            last_layers=("classifier.6",),
            unused_by_features=("classifier.",),
        ),
        _torchvision(
            "vgg_gap",
            "vgg16",
            input_size=224,
            feature_node="features",
            last_layers=("classifier",),
            unused_by_features=("classifier.",),
            pooled_by_gap=True,
        ),
        _torchvision(
            "resnet50",
            "resnet50",
            input_size=224,
            feature_node="layer4",
            last_layers=("fc",),
            unused_by_features=("fc.",),
        ),
        # torchvision's weights expect inputs in [-1, 1], which mean = std = 0.5 makes.
        _torchvision(
            "inception_v3",
            "inception_v3",
            input_size=299,
            feature_node="Mixed_7c",
            last_layers=("fc",),
            unused_by_features=("fc.", "AuxLogits."),
            mean=HALF,
            std=HALF,
            crop_share=299 / 320,
        ),
        _torchvision(
            "densenet161",
            "densenet161",
            input_size=224,
            feature_node="relu",  # after the last norm, as the classifier sees it
            last_layers=("classifier",),
            unused_by_features=("classifier.",),
        ),
    )
}


def find_backbone(name: str) -> Backbone:
    """The backbone of this name: the table's, else timm's.

    Raises:
        UserError: neither knows the name.
    """
    if name in TORCHVISION:
        return TORCHVISION[name]
    timm = load_timm()
    if not timm.is_model(name):
        close = timm.list_models(f"*{name.rpartition('/')[2].partition('.')[0]}*")[:5]
        hint = f"; timm has {', '.join(close)}" if close else ""
        raise UserError(f"backbone {name!r} is unknown; expected one of {', '.join(TORCHVISION)} or a timm model{hint}")
    return _timm_backbone(name)


def _timm_backbone(name: str) -> Backbone:
    try:
        config = load_timm().get_pretrained_cfg(name)
    except RuntimeError as error:  # a tag it does not know
        raise UserError(f"backbone {name!r}: {error} Leave out the part behind the dot for timm's default") from None
    if config is None:
        raise UserError(f"backbone {name!r}: found a name that timm has given up; give {_new_name(name)!r}")
    last = config.classifier or ()
    last_layers = (last,) if isinstance(last, str) else tuple(last)
    return Backbone(
        name=name,
        build=partial(_build_timm, name),
        input_size=config.input_size[-1],
        feature_node=None,
        last_layers=last_layers,
        unused_by_features=tuple(f"{layer}." for layer in last_layers),
        mean=_triple(config.mean),
        std=_triple(config.std),
        crop_share=config.crop_pct,
        fixed_input=config.fixed_input_size,
    )


def _build_timm(name: str) -> nn.Module:
    timm = load_timm()
    with on_no_device():
        plain = timm.create_model(name)
    # A ViT otherwise refuses every size but its own, and DDT wants 448.
    options: dict[str, Any] = {"dynamic_img_size": True} if hasattr(plain, "dynamic_img_size") else {}
    return timm.create_model(name, **options)


def _new_name(old: str) -> str:
    with on_no_device(), warnings.catch_warnings(action="ignore"):
        config = load_timm().create_model(old).pretrained_cfg
    return f"{config['architecture']}.{config['tag']}"


def _triple(values: tuple[float, ...]) -> Triple:
    red, green, blue = values
    return red, green, blue
