"""Files of weights as people have them: told apart by their content, whatever their name ends in."""

import tarfile
import zipfile
from pathlib import Path
from typing import IO, Any

import safetensors.torch

from psol_ray.errors import UserError, abbreviate, first_line
from psol_ray.models.unpickling import read_pickled

__all__ = ["read_weights"]

_HEAD = 512
_UNPACK = "unpack it"

# How files begin that are taken for weights, what they are, and what to do.
_OTHERS = (
    (b"version https://git-lfs", "a pointer of Git LFS", "run `git lfs pull` where it comes from"),
    (b"<", "a web page", "download the file itself"),
    (b"{", "JSON", "give the file of tensors beside it"),
    (b"\x89HDF", "an HDF5 file, as Keras writes them", "give weights of PyTorch's"),
    (b"\x1f\x8b", "a file that gzip packed", _UNPACK),
    (b"BZh", "a file that bzip2 packed", _UNPACK),
    (b"\xfd7zXZ", "a file that xz packed", _UNPACK),
    (b"7z\xbc\xaf", "a 7z archive", _UNPACK),
)
_SAVE_STATE = "load it where it was made, and save its `state_dict()` with torch.save"


def read_weights(path: Path) -> Any:
    """What is in a file of `safetensors` or of `torch.save`; nothing in it is executed.

    Returns:
        For safetensors a dict of tensors; else what was saved, with something inert for all that is no tensor.

    Raises:
        UserError: the file is another one, or not whole.
    """
    try:
        with path.open("rb") as file:
            return _read(path, file)
    except UserError:
        raise
    except Exception as error:  # see `read_pickled`
        reason = f"{type(error).__name__}: {first_line(error, 120)}"
        raise UserError(f"cannot be read ({reason}); is it whole, and a file of safetensors or torch.save?") from None


def _read(path: Path, file: IO[bytes]) -> Any:
    head = file.read(_HEAD)
    file.seek(0)
    if head[8:9] == b"{":  # behind the length of its header
        return safetensors.torch.load_file(path)
    found = _told_apart(head, file)
    if found:
        what, remedy = found
        raise UserError(f"found {what}, expected a file of safetensors or torch.save; {remedy}")
    file.seek(0)
    return read_pickled(file)


def _told_apart(head: bytes, file: IO[bytes]) -> tuple[str, str] | None:
    """What another file is, and what to do about it; None for one of torch's."""
    if not head:
        return "an empty file", "copy it again"
    if head.startswith(b"PK\x03\x04"):
        return _zip_archive(file)
    if head[257:262] == b"ustar":
        return _tar_archive(file)
    for start, what, remedy in _OTHERS:
        if head.lstrip().startswith(start):
            return what, remedy
    return None


def _zip_archive(file: IO[bytes]) -> tuple[str, str] | None:
    """The same of a zip archive, as torch's files are since 2020."""
    names = zipfile.ZipFile(file).namelist()
    last = {name.rpartition("/")[2] for name in names}
    if "constants.pkl" in last:
        return "a TorchScript program", _SAVE_STATE
    if "archive_format" in last:
        return "a program of torch.export", _SAVE_STATE
    if "data.pkl" in last:
        return None
    if any(name.endswith(".npy") for name in names):
        return "an archive of NumPy's, as JAX writes them", "give weights of PyTorch's"
    return f"a zip archive of {abbreviate(names)}", _UNPACK


def _tar_archive(file: IO[bytes]) -> tuple[str, str] | None:
    """The same of a tar archive, as torch's first files were: torchvision's first ResNets, say."""
    with tarfile.open(fileobj=file) as archive:
        members = archive.getmembers()
    names = [member.name for member in members]
    # torch unpacks these, so that none may be a link.
    if {"pickle", "storages", "tensors"} <= set(names) and all(member.isreg() for member in members):
        return None
    return f"a tar archive of {abbreviate(names)}", _UNPACK
