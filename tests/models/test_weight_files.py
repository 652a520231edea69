"""Files of weights, and what is taken for them."""

import gzip
import io
import json
import pickle
import struct
import tarfile
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from psol_ray.errors import UserError
from psol_ray.models.weight_files import read_weights

State = dict[str, torch.Tensor]
STATE = {"features.weight": torch.arange(6.0).reshape(2, 3), "features.bias": torch.ones(2)}


def assert_read(path: Path) -> None:
    found = read_weights(path)
    assert list(found) == list(STATE) or found.keys() == STATE.keys()
    assert all(found[name].equal(tensor) for name, tensor in STATE.items())


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors", "w.pth.tar", "pytorch_model.bin", "last.ckpt", "weights"])
def test_what_a_file_is_called_is_no_matter(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    torch.save(STATE, path)
    assert_read(path)
    torch.save(STATE, path, _use_new_zipfile_serialization=False)
    assert_read(path)
    safetensors.torch.save_file(STATE, path)
    assert_read(path)
    _save_as_in_2017(path)
    assert_read(path)


def _save_as_in_2017(path: Path) -> None:
    """A tar file, as torchvision's first ResNets are."""
    tensors = list(STATE.values())

    class Pickler(pickle.Pickler):
        def persistent_id(self, value: Any) -> str | None:
            return next((str(i) for i, tensor in enumerate(tensors) if tensor is value), None)

    parts = {name: io.BytesIO() for name in ("sys_info", "pickle", "tensors", "storages")}
    pickle.dump({}, parts["sys_info"], 2)
    Pickler(parts["pickle"], 2).dump(OrderedDict(STATE))
    for part in ("tensors", "storages"):
        pickle.dump(len(tensors), parts[part], 2)
    for i, tensor in enumerate(tensors):
        key = b"K" + bytes([i])
        parts["storages"].write(b"\x80\x02(" + key + b"X\x03\0\0\0cpuctorch\nFloatStorage\nt.")
        parts["storages"].write(struct.pack("<q", tensor.numel()) + tensor.numpy().tobytes())
        parts["tensors"].write(b"\x80\x02(" + key + key + b"ctorch\nFloatTensor\nt.")
        sizes = struct.pack(f"<{2 * tensor.ndim}q", *tensor.shape, *tensor.stride())
        parts["tensors"].write(struct.pack("<ii", tensor.ndim, 0) + sizes + struct.pack("<q", 0))
    pickle.dump([], parts["storages"], 2)
    with tarfile.open(path, "w:") as archive:
        for name, part in parts.items():
            member = tarfile.TarInfo(name)
            member.size = len(part.getvalue())
            archive.addfile(member, io.BytesIO(part.getvalue()))


def _zip(path: Path, **members: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def _tar_with_a_link(path: Path) -> None:
    _save_as_in_2017(path)
    with tarfile.open(path, "a:") as archive:
        link = tarfile.TarInfo("storages")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: path.write_bytes(b""), "found an empty file, .*; copy it again"),
        (
            lambda path: path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 2\n"),
            "found a pointer of Git LFS, .*; run `git lfs pull` where it comes from",
        ),
        (lambda path: path.write_bytes(b"\n <!DOCTYPE html>"), "found a web page, .*; download the file itself"),
        (lambda path: path.write_text(json.dumps({"weight_map": {}})), "found JSON, .*; give the file of tensors"),
        (lambda path: path.write_bytes(gzip.compress(b"weights")), "found a file that gzip packed, .*; unpack it"),
        (lambda path: _zip(path, w_pth=b"weights"), "found a zip archive of w_pth, .*; unpack it"),
        (_tar_with_a_link, "found a tar archive of sys_info, pickle, tensors and 2 more, .*; unpack it"),
        (lambda path: np.savez(path.open("wb"), a=np.zeros(2)), "found an archive of NumPy's, .*; give weights of Py"),
        (
            lambda path: torch.jit.script(torch.nn.Linear(2, 2)).save(path),
            "found a TorchScript program, .*; load it where it was made, and save its `state_dict",
        ),
    ],
)
def test_what_is_no_file_of_weights_is_told_apart(make: Any, told: str, tmp_path: Path) -> None:
    make(tmp_path / "w.pth")
    with pytest.raises(UserError, match=f"^{told}"):
        read_weights(tmp_path / "w.pth")


@pytest.mark.parametrize("content", [b"garbage" * 99, b"PK\x03\x04 half an archive", pickle.dumps({"a": 3})])
def test_garbage_is_told_with_the_reason(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(content)
    with pytest.raises(UserError, match=r"^cannot be read \(.+\); is it whole, and a file of safetensors or"):
        read_weights(tmp_path / "w.pth")


@pytest.mark.parametrize(
    "save",
    [
        torch.save,
        lambda state, path: torch.save(state, path, _use_new_zipfile_serialization=False),
        safetensors.torch.save_file,
    ],
    ids=["zip", "as before 2020", "safetensors"],
)
def test_half_a_file_is_told(save: Any, tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    save({"a": torch.zeros(9999)}, path)
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(UserError, match=r"^cannot be read \(.+\); is it whole"):
        read_weights(path)
