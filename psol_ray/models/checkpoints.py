"""Find a network's tensors in what a training script saved: under which keys, behind which prefix.

A checkpoint is a tree of mappings, and more than one of them may hold the network: beside the weights their moving
average, beside a student its teacher. Names begin with what the network was wrapped in.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from psol_ray.errors import UserError, abbreviate
from psol_ray.models.unpickling import Inert

__all__ = ["Found", "State", "Wanted", "find_network"]

State = dict[str, torch.Tensor]
Mappings = list[tuple[tuple[str, ...], State]]

# What compilers, FSDP and activation checkpointing put into names, also in the middle.
_WRAPPERS = re.compile(r"\b(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
# What masked pretraining adds to a network and throws away afterwards.
_OF_PRETRAINING = ("mask_token", "decoder_")

_USUAL = re.compile(
    r"(?:model_)?(?:state_dict|state|weights|params)|model|module|net|network|backbone|encoder|encoder_q|trunk|\d+"
)
_AVERAGE = re.compile(r"(^|_)(ema|swa|avg|averaged?|momentum|shadow|target|encoder_k)(_|$)")
_DEPTH = 4


@dataclass(frozen=True)
class Wanted:
    """What a network needs and may have; of the tensors only names, shapes and types are looked at."""

    needed: State
    known: State
    """All tensors of the architecture: they may be there."""
    optional: State = field(default_factory=dict)
    """Those of `known` that are used where they are there."""
    replaced: tuple[str, ...] = ()
    """How the names begin of layers that are replaced, whatever a file has for them."""

    def missing(self, state: State) -> list[str]:
        """Names without which the network is not whole."""
        # Counters of batches seen: older files lack them, and no result depends on them.
        return [name for name in self.needed if name not in state and not name.endswith("num_batches_tracked")]

    def misfits(self, state: State) -> str:
        """What is missing, surplus or unlike, as a list for people; empty where the tensors fit."""
        missing, beside = self.missing(state), (*self.replaced, *_OF_PRETRAINING)
        surplus = [name for name in state if name not in self.known and not name.startswith(beside)]
        pairs = [(name, state[name], t) for name, t in (self.needed | self.optional).items() if name in state]
        misshaped = [
            f"{name} {tuple(t.shape)} for {tuple(own.shape)}" for name, t, own in pairs if t.shape != own.shape
        ]
        # A quantized file's integers would be taken for weights.
        mistyped = [
            f"{name} {t.dtype} for {own.dtype}"
            for name, t, own in pairs
            if own.is_floating_point() and not t.is_floating_point()
        ]
        kinds = (("missing", missing), ("surplus", surplus), ("mis-shaped", misshaped), ("of another type", mistyped))
        return "; ".join(f"{len(names)} {kind}: {abbreviate(names, 8)}" for kind, names in kinds if names)


@dataclass(frozen=True)
class Found:
    """Tensors under the network's own names, and where they lay: below which keys, behind which prefix of names."""

    tensors: State
    keys: tuple[str, ...] = ()
    prefix: str = ""

    @property
    def place(self) -> str:
        """For messages; empty for a plain file."""
        keys = f"its {'.'.join(self.keys)!r}" if self.keys else ""
        prefix = f"names without {self.prefix!r}" if self.prefix else ""
        return ", ".join(filter(None, (keys, prefix)))

    @property
    def rank(self) -> int:
        """What is preferred has a lower one: weights as usual, others, a teacher, its student, an average."""
        return max((_rank(word) for word in (*self.keys, *self.prefix.split("."))), default=0)


def _rank(word: str) -> int:
    if _AVERAGE.search(word):
        return 4
    if word in ("teacher", "student"):
        return 2 if word == "teacher" else 3
    return 0 if not word or _USUAL.fullmatch(word) else 1


def find_network(content: Any, wanted: Wanted, network: Any) -> Found:
    """The tensors of a network in what a file holds.

    Of several that fit, plain weights are preferred to an average of them (EMA, SWA, a momentum encoder), and a teacher
    to its student.

    Args:
        content: see `read_weights`.
        wanted: what fits.
        network: of which timm may know how its authors name the tensors; on no device.

    Returns:
        What fits; where nothing does, what has most of the names.

    Raises:
        UserError: there are no tensors with names, or several networks that fit and differ.
    """
    mappings = list(_mappings(content))
    if not mappings:
        raise UserError(f"expected a mapping of names to tensors, found {_describe(content)}")
    read = [found for keys, state in mappings for found in _readings(keys, state, wanted.needed)]
    fitting = [found for found in read if not wanted.misfits(found.tensors)]
    if not fitting:
        fitting = [found for found in _renamed_by_timm(mappings, wanted, network) if not wanted.misfits(found.tensors)]
    if not fitting:
        return max(read, key=lambda found: len(found.tensors.keys() & wanted.needed.keys()))
    return _preferred(fitting, wanted)


def _preferred(fitting: list[Found], wanted: Wanted) -> Found:
    best = min(found.rank for found in fitting)
    first, *others = (found for found in fitting if found.rank == best)
    names = [name for name in wanted.needed if name in first.tensors]
    for other in others:
        if not all(name in other.tensors and first.tensors[name].equal(other.tensors[name]) for name in names):
            raise UserError(
                f"found two such networks that differ ({first.place or 'names as they are'}; {other.place}), expected"
                " one; save it alone"
            )
    return first


def _mappings(content: Any, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], State]]:
    """All mappings in a tree that have tensors under names, outermost first, with the keys that lead to them."""
    if len(keys) > _DEPTH:
        return
    if isinstance(content, Inert):
        items: Mapping[Any, Any] = _state_of(content)
    elif isinstance(content, list | tuple):
        items = dict(enumerate(content))
    else:
        items = content if isinstance(content, Mapping) else {}
    state = {_WRAPPERS.sub("", n): t for n, t in items.items() if isinstance(n, str) and torch.is_tensor(t)}
    if state:
        yield keys, state
    for key, value in items.items():
        yield from _mappings(value, (*keys, str(key)))


def _state_of(module: Inert) -> State:
    """The state dict of a network that was saved as an object; empty for any other object."""
    parts = module.state if isinstance(module.state, dict) else {}
    tensors = {**_dict(parts.get("_parameters")), **_dict(parts.get("_buffers"))}
    not_saved = parts.get("_non_persistent_buffers_set") or ()
    state = {name: tensor for name, tensor in tensors.items() if torch.is_tensor(tensor) and name not in not_saved}
    for name, child in _dict(parts.get("_modules")).items():
        if isinstance(child, Inert):
            state |= {f"{name}.{below}": tensor for below, tensor in _state_of(child).items()}
    return state


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _readings(keys: tuple[str, ...], state: State, needed: State) -> Iterator[Found]:
    """A mapping's tensors without any prefix that makes one of its names a needed one, or that all names have."""
    prefixes = {"", _shared_prefix(state)}
    for name in state:
        parts = name.split(".")
        prefixes |= {".".join(parts[:i]) + "." for i in range(1, len(parts)) if ".".join(parts[i:]) in needed}
    for prefix in sorted(prefixes):
        # What does not have the prefix is of something else: a loss, a head beside the network, its average.
        yield Found({n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)}, keys, prefix)


def _shared_prefix(state: State) -> str:
    """How all names begin, up to a dot."""
    first, last = min(state), max(state)
    shared = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[: first.rfind(".", 0, shared) + 1]


def _renamed_by_timm(mappings: Mappings, wanted: Wanted, network: Any) -> Iterator[Found]:
    """Tensors that have the names of the network's own authors, under those that timm gives them."""
    rename = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)
    if rename is None:
        return
    for keys, state in mappings:
        prefix = _shared_prefix(state)
        tensors = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
        # Where names are right and shapes are not, it would make the weights of another network fit.
        if wanted.missing(tensors):
            try:
                yield Found(dict(rename(tensors, network)), keys, prefix)
            except Exception:  # it trips over the names of any other network
                continue


def _describe(content: Any) -> str:
    """What was found instead of tensors, for a message."""
    if not isinstance(content, Mapping):
        return type(content).__name__
    return abbreviate([f"{key!r}: {type(value).__name__}" for key, value in content.items()], 8) or "an empty one"
