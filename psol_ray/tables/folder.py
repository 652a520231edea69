"""A folder on any pyarrow filesystem, whose files are written whole or not at all."""

import uuid
from contextlib import suppress
from dataclasses import dataclass

import pyarrow.fs as pafs

from psol_ray.tables.listing import list_folder
from psol_ray.tables.patience import address_of, is_object_store, patiently, sentence

__all__ = ["UNFINISHED", "Folder"]

UNFINISHED = ".tmp"
"""How names of files end that are being written; they begin with a dot."""
_REMEDY = "fix that, and the same command goes on from here"


@dataclass(frozen=True)
class Folder:
    """A folder, which need not be there yet. Errors are UserErrors; those of a store that pass are tried again."""

    fs: pafs.FileSystem
    path: str

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[-1]

    @property
    def address(self) -> str:
        """The path as one would type it, its scheme included."""
        return address_of(self.fs, self.path)

    def write_bytes(self, name: str, data: bytes) -> None:
        """Write one file so that it appears whole or not at all.

        Raises:
            UserError: it cannot be written, because the disk is full, say.
        """
        target = f"{self.path}/{name}"
        with sentence(f"{self.address}: {name} cannot be written", _REMEDY):
            patiently(self.fs, target, lambda: self._write(target, data))

    def _write(self, target: str, data: bytes) -> None:
        if is_object_store(self.fs):
            with self.fs.open_output_stream(target) as stream:
                stream.write(data)
            return
        folder, _, _ = target.rpartition("/")
        self.fs.create_dir(folder, recursive=True)
        unfinished = f"{folder}/.{uuid.uuid4().hex}{UNFINISHED}"
        try:
            with self.fs.open_output_stream(unfinished) as stream:
                stream.write(data)
            self.fs.move(unfinished, target)
        except BaseException:
            # A full disk is better off without it.
            with suppress(OSError):
                self.fs.delete_file(unfinished)
            raise

    def read_bytes(self, name: str) -> bytes | None:
        """Content of one file, or None where there is none.

        Raises:
            UserError: it cannot be read.
        """
        path = f"{self.path}/{name}"
        with sentence(f"{self.address}: {name} cannot be read", _REMEDY):
            return patiently(self.fs, path, lambda: self._read(path))

    def _read(self, path: str) -> bytes | None:
        # A store says it as well when the file is opened, and would be asked once more for each of a thousand parts.
        if not is_object_store(self.fs) and self.fs.get_file_info(path).type != pafs.FileType.File:
            return None
        try:
            with self.fs.open_input_stream(path) as stream:
                return stream.read()
        except FileNotFoundError:  # somebody has deleted it since
            return None

    def read_text(self, name: str) -> str | None:
        """Content of one text file, or None where there is none."""
        data = self.read_bytes(name)
        return None if data is None else data.decode()

    def entries(self) -> list[pafs.FileInfo]:
        """What is in the folder; nothing where it is not there.

        Raises:
            UserError: it cannot be listed.
        """
        with sentence(f"{self.address} cannot be listed", _REMEDY):
            return list_folder(self.fs, self.path, allow_not_found=True)[self.path]

    def discard(self, prefix: str) -> None:
        """Delete files and folders whose names begin so."""
        for info in self.entries():
            if info.base_name.startswith(prefix):
                self.delete(info)

    def delete(self, info: pafs.FileInfo) -> None:
        """Delete one of the entries.

        Raises:
            UserError: it cannot be deleted.
        """
        delete = self.fs.delete_dir if info.type == pafs.FileType.Directory else self.fs.delete_file
        with sentence(f"{self.address}: {info.base_name} cannot be deleted", _REMEDY), suppress(FileNotFoundError):
            patiently(self.fs, info.path, lambda: delete(info.path))
