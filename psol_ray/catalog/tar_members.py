"""The files in a tar archive, and where they lie: images are read in place, so each must be there, whole and as it is.

What is more in the archive is counted, and what makes it one that cannot be read so is refused.
"""

import tarfile
from collections.abc import Iterator
from typing import IO

from psol_ray.catalog.passed_over import PassedOver, Reason
from psol_ray.catalog.shards import Shard
from psol_ray.errors import UserError

__all__ = ["read_member", "tar_members"]

_BLOCK = tarfile.BLOCKSIZE
_BYTES_AT_ONCE = 1 << 20


def tar_members(shard: Shard, file: IO[bytes], passed_over: PassedOver) -> Iterator[tarfile.TarInfo]:
    """The files in their order, without `./` before their names; hard links are where that lies which they link to.

    Args:
        shard: for messages.
        file: its content.
        passed_over: counts what is no file that can be read, and what is hidden.

    Raises:
        UserError: the archive is cut short or damaged, more than one, or has sparse files in it.
    """
    places: dict[str, tuple[int, int]] = {}
    for member in _all_members(shard, file):
        member.name = member.name.removeprefix("./")
        if member.isdir():
            continue
        if member.islnk() and (place := places.get(member.linkname.removeprefix("./"))):
            member.offset_data, member.size = place
        elif member.islnk() or member.issym():
            passed_over[Reason.LINK, member.name] += 1
            continue
        elif not member.isreg():
            passed_over[Reason.NO_FILE, member.name] += 1
            continue
        places[member.name] = member.offset_data, member.size
        if member.name.rpartition("/")[2].startswith("."):
            passed_over[Reason.HIDDEN, ""] += 1
        else:
            yield member


def read_member(file: IO[bytes], member: tarfile.TarInfo) -> bytes:
    """The content of a file, after which the archive is read on from where it was."""
    at = file.tell()
    file.seek(member.offset_data)
    data = file.read(member.size)
    file.seek(at)
    return data


def _all_members(shard: Shard, file: IO[bytes]) -> Iterator[tarfile.TarInfo]:
    last = "its beginning"
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            while (member := tar.next()) is not None:
                if member.issparse():
                    raise UserError(
                        f"{shard.path}: found the sparse file {member.name}, expected files with all their bytes; make"
                        " the shard anew without `tar -S`"
                    )
                if member.isreg() and member.offset_data + member.size > shard.size:
                    raise tarfile.ReadError("unexpected end of data")
                last = member.name
                yield member
                tar.members = []  # type: ignore[attr-defined]  # else it keeps all
            # Cut between two files it would pass for a shorter one, and for that tarfile also takes half a header.
            file.seek(tar.offset)
            if file.read(_BLOCK) != bytes(_BLOCK):
                raise tarfile.ReadError("no end")
    except tarfile.TarError as error:
        raise UserError(
            f"{shard.path}: found {error} after {last}, expected a whole tar file; it is cut short or damaged, copy it"
            " anew"
        ) from None
    _check_nothing_behind(shard, file)


def _check_nothing_behind(shard: Shard, file: IO[bytes]) -> None:
    """Behind its end an archive is filled up with zeros, some 10 kB at most; readers stop there and see no more."""
    while data := file.read(_BYTES_AT_ONCE):
        if data.count(0) < len(data):
            raise UserError(
                f"{shard.path}: found more behind the end of its first archive, expected a single one; keep archives in"
                " files of their own, or join them by `tar -A`"
            )
