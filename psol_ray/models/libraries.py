"""torchvision and timm, imported when first needed and without PyTorch's compiler.

Both touch `torch._dynamo` while they are imported, torchvision for one function of `roi_align`, timm to keep the
compiler out of a few methods. That loads the compiler and sympy with it, half of the time until a process has its
network, for code that never runs here. During these two imports a stand-in takes its place, which loads the real one
once somebody asks it for more.
"""

import importlib
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from types import FunctionType, ModuleType
from typing import Any

import torch

__all__ = ["load_timm", "load_torchvision"]

_COMPILER = "torch._dynamo"
_UTILS = "torch._dynamo.utils"

_lock = threading.RLock()  # timm's import runs torchvision's


@cache
def load_torchvision() -> ModuleType:
    """Import torchvision with `models.feature_extraction` and `ops`."""
    _import("torchvision.models.feature_extraction")
    return sys.modules["torchvision"]


@cache
def load_timm() -> ModuleType:
    """Import timm with `timm.data`."""
    _import("timm.data")
    return sys.modules["timm"]


def _import(name: str) -> None:
    try:
        with _postponed_compiler():
            importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith(f"{_COMPILER}."):
            raise
        # A version that imports parts of the compiler the stand-in does not have.
        importlib.import_module(name)


@contextmanager
def _postponed_compiler() -> Iterator[None]:
    """Have `torch._dynamo` stood in for, unless it is loaded already."""
    with _lock:
        if _COMPILER in sys.modules:
            yield
            return
        sys.modules[_COMPILER] = _StandIn(_COMPILER, disable=_disable)
        sys.modules[_UTILS] = _StandIn(_UTILS, is_compile_supported=_is_compile_supported)
        try:
            yield
        finally:
            _remove_stand_ins()


class _StandIn(ModuleType):
    """A module with a few functions of its own; any other attribute is the real module's, which it loads."""

    def __init__(self, name: str, **functions: Callable[..., Any]) -> None:
        super().__init__(name)
        self.__dict__.update(functions)

    def __getattr__(self, attribute: str) -> Any:
        # `inspect` asks every loaded module for its __file__, the import system for its __path__.
        if attribute.startswith("__"):
            raise AttributeError(f"module {self.__name__!r} has no attribute {attribute!r} yet")
        return getattr(_real(self.__name__), attribute)


def _disable(fn: Any = None, recursive: bool = True, **options: Any) -> Any:
    """Do what `torch._dynamo.disable` does: for functions and as a decorator at the first call, else at once."""
    if fn is None or isinstance(fn, FunctionType):
        return torch._disable_dynamo(fn, recursive)  # PyTorch's own postponed form; a reason is only for its messages
    return _real(_COMPILER).disable(fn, recursive, **options)


def _is_compile_supported(device_type: Any) -> Any:
    return _real(_UTILS).is_compile_supported(device_type)


_is_compile_supported._dynamo_marked_constant = True  # type: ignore[attr-defined]  # as the real one is


def _real(name: str) -> ModuleType:
    with _lock:
        _remove_stand_ins()
        return importlib.import_module(name)


def _remove_stand_ins() -> None:
    for name in (_COMPILER, _UTILS):
        if isinstance(sys.modules.get(name), _StandIn):
            del sys.modules[name]
