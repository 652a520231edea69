"""What is read of a file that names more than tensors, and that nothing of it runs."""

import argparse
import collections
import io
import os
import pickle
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from psol_ray.models import unpickling
from psol_ray.models.unpickling import Inert, read_pickled

WEIGHTS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2, dtype=torch.bfloat16)}
WAYS = pytest.mark.parametrize(
    "way",
    [{}, {"pickle_protocol": 4}, {"_use_new_zipfile_serialization": False}],
    ids=["as usual", "a later protocol", "as before 2020"],
)


class Settings(dict[str, Any]):
    """As yacs, EasyDict and Lightning have them: a dict, and attributes."""

    def __init__(self, **values: Any) -> None:
        super().__init__(values)
        self.frozen = True


class Calls:
    """Calls a function when it is unpickled."""

    def __init__(self, function: Any, *args: Any) -> None:
        self._call = function, args

    def __reduce__(self) -> tuple[Any, Any]:
        return self._call


def saved(content: Any, **way: Any) -> io.BytesIO:
    file = io.BytesIO()
    torch.save(content, file, **way)
    file.seek(0)
    return file


@WAYS
def test_tensors_are_read_whatever_lies_beside_them(way: dict[str, Any]) -> None:
    beside = {
        "args": argparse.Namespace(lr=0.1, out=Path("/x")),
        "config": Settings(model=Settings(depth=3)),
        "metric": np.float64(3.5),
        "random": np.random.default_rng(0),
        "history": collections.deque([1, 2]),
        "counts": collections.defaultdict(int, cat=3),
        "seen": {1, 2},
        "date": datetime(2024, 2, 29),
        nn.Linear: nn.CrossEntropyLoss(),
        "model": WEIGHTS,
    }
    found = read_pickled(saved(beside, **way))
    assert {name: tensor.tolist() for name, tensor in found["model"].items()} == {
        name: tensor.tolist() for name, tensor in WEIGHTS.items()
    }
    assert isinstance(found["args"], Inert)
    assert type(found["args"]).__name__ == "argparse.Namespace"
    assert found["seen"] == {1, 2}


@WAYS
@pytest.mark.parametrize("function", [os.system, os.mkdir, eval])
def test_nothing_that_a_file_calls_is_called(function: Any, way: dict[str, Any], tmp_path: Path) -> None:
    made = tmp_path / "made"
    arguments = {os.system: f"mkdir {made}", os.mkdir: str(made), eval: f"__import__('os').mkdir({str(made)!r})"}
    evil = Calls(function, arguments[function])
    found = read_pickled(saved({"model": WEIGHTS, "evil": evil}, **way))
    assert found["model"]["a"].equal(WEIGHTS["a"])
    assert isinstance(found["evil"], Inert)
    assert not made.exists()
    pickle.loads(pickle.dumps(evil))
    assert made.exists(), "the file was not evil"


def test_what_is_got_from_something_inert_is_inert() -> None:
    # getattr(os, "system")("true"): a function by the way of another one.
    data = b"cbuiltins\ngetattr\n(cos\nsystem\nX\x04\0\0\0nametR(X\x04\0\0\0truetR."
    assert isinstance(pickle.loads(b"cbuiltins\ngetattr\n(cos\nsystem\nX\x08\0\0\0__name__tR."), str)
    assert isinstance(unpickling.load(io.BytesIO(data)), Inert)


@pytest.mark.parametrize(
    "name",
    [b"torch._utils\n_rebuild_tensor_v2\n", b"collections\nOrderedDict\n", b"torch.nn.parameter\nParameter\n"],
)
def test_what_is_real_cannot_be_changed_by_a_file(name: bytes) -> None:
    # Sets the attribute _function of the global to 1.
    data = b"\x80\x02c" + name + b"N}X\x09\0\0\0_functionK\x01s\x86b."
    with pytest.raises((pickle.UnpicklingError, TypeError)):
        unpickling.load(io.BytesIO(data))
    assert read_pickled(saved({"args": argparse.Namespace(), **WEIGHTS}))["a"].equal(WEIGHTS["a"])


class Patched(nn.Linear):
    dump_patches = True


def test_source_that_an_old_file_brings_with_it_is_not_written_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    whole = saved(Patched(3, 2), _use_new_zipfile_serialization=False).getvalue()
    changed = io.BytesIO(whole.replace(b"dump_patches = True", b"dump_patches = 1   "))
    found = read_pickled(changed)
    assert isinstance(found, Inert)
    assert found.state["_parameters"]["weight"].shape == (2, 3)
    assert not any(tmp_path.iterdir())
    changed.seek(0)
    with pytest.warns(torch.serialization.SourceChangeWarning):
        torch.load(changed, weights_only=False)
    assert (tmp_path / "Patched.patch").exists(), "torch's own reader would not have written it"
