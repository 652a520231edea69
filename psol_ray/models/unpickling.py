"""Read what `torch.save` wrote and run nothing of it: whatever is no tensor becomes an object that does nothing.

Training scripts put their arguments, settings, counters and callbacks beside the weights, and torch's own reader of
weights alone refuses the whole file for one of them. This module stands in for `pickle` where `torch.load` takes one:
of what a file names, `_CALLABLE` is all that is real, and nothing is imported.
"""

import pickle
import sys
import warnings
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import IO, Any

import torch

__all__ = ["Inert", "Unpickler", "load", "read_pickled"]


def read_pickled(file: IO[bytes]) -> Any:
    """What is in a file of torch's, of whichever age and protocol.

    Args:
        file: not a TorchScript archive, which `torch.load` would hand to another reader.

    Raises:
        Exception: the file is not whole, or of another program; of any class, because on bytes that are no weights
            unpicklers raise whatever they trip over.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of protocols, and of the source of classes
        try:
            return torch.load(file, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError):  # the latter where it is one of the tar files of before 2018
            file.seek(0)
            return torch.load(file, map_location="cpu", pickle_module=sys.modules[__name__], weights_only=False)


class Inert:
    """Stands for an object of a class that is not imported: takes whatever a pickle does to it, and does nothing."""

    state: Any = None
    """What the object was made of, for whole networks, which keep their tensors there."""

    def __new__(cls, *_: Any, **__: Any) -> "Inert":
        return super().__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __call__(self, *_: Any, **__: Any) -> "Inert":
        return self

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __setitem__(self, _key: Any, _value: Any) -> None:
        pass

    def append(self, _item: Any) -> None:
        """As a list would."""

    def add(self, _item: Any) -> None:
        """As a set would."""


@cache
def _stand_in(name: str) -> type[Inert]:
    return type(name, (Inert,), {})


class _Function:
    """A function that a file may call, and whose attributes it cannot set."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)

    def __setstate__(self, _state: Any) -> None:
        raise pickle.UnpicklingError("found a function that is to be changed")


_CALLABLE: dict[str, Any] = {
    "collections.OrderedDict": OrderedDict,
    "builtins.set": set,
    "__builtin__.set": set,
    "torch.nn.parameter.Parameter": torch.nn.Parameter,
    "torch._utils._rebuild_tensor": _Function(torch._utils._rebuild_tensor),
    "torch._utils._rebuild_tensor_v2": _Function(torch._utils._rebuild_tensor_v2),
    "torch._utils._rebuild_parameter": _Function(lambda tensor, *_: tensor),
    "torch._utils._rebuild_parameter_with_state": _Function(lambda tensor, *_: tensor),
    # A tensor of a class of its own: the tensor without the class.
    "torch._tensor._rebuild_from_type_v2": _Function(lambda function, _type, args, _state: function(*args)),
}


class Unpickler(pickle.Unpickler):
    """In which the names of a file mean nothing but what is in `_CALLABLE`."""

    def find_class(self, module: str, name: str) -> Any:
        """The real thing for tensors and what holds them, something inert for anything else."""
        full_name = f"{module}.{name}"
        with suppress(KeyError):  # a type of numbers, which only torch's oldest files ask this for
            return torch.serialization.StorageType(name)
        return _CALLABLE[full_name] if full_name in _CALLABLE else _stand_in(full_name)


def load(file: IO[bytes], **arguments: Any) -> Any:
    """As `pickle.load`."""
    return Unpickler(file, **arguments).load()
