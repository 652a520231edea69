"""An emulator of Google Cloud Storage on loopback, in a process of its own."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow.fs as pafs
from s3 import wait_for_port

__all__ = ["Bucket", "gcs_server"]

_SERVE = """
import sys, threading
from gcp_storage_emulator.server import create_server

create_server("127.0.0.1", int(sys.argv[1]), in_memory=True, default_bucket="bucket").start()
threading.Event().wait()
"""


@dataclass(frozen=True)
class Bucket:
    """The bucket `bucket` of the emulator."""

    port: int

    def uri(self, path: str) -> str:
        """The address of `bucket/PATH`."""
        where = f"scheme=http&endpoint_override=127.0.0.1:{self.port}&retry_limit_seconds=5"
        return f"gs://anonymous@bucket/{path}?{where}"

    def put(self, path: str, data: bytes) -> None:
        """Write `bucket/PATH` as Google's own tools do: no object is made of its folders."""
        fs, at = pafs.FileSystem.from_uri(self.uri(path))
        with fs.open_output_stream(at) as stream:
            stream.write(data)

    def put_folder(self, folder: Path, target: str) -> None:
        """Copy a folder to `bucket/TARGET`."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.put(f"{target}/{path.relative_to(folder)}", path.read_bytes())


@contextmanager
def gcs_server(port: int) -> Iterator[Bucket]:
    """The emulator, from when it answers."""
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for_port(port)
        yield Bucket(port)
    finally:
        process.kill()
        process.wait()
