"""A real S3 server on loopback, in a process of its own, that can be told to fail."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.fs as pafs

__all__ = ["free_port", "s3_server", "uri"]

_SERVE = """
import os, sys
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

app = DomainDispatcherApplication(create_backend_app)

def sometimes(environ, start_response):
    if os.path.exists(sys.argv[2]):
        start_response("503 Slow Down", [("Content-Type", "application/xml")])
        return [b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"]
    return app(environ, start_response)

run_simple("127.0.0.1", int(sys.argv[1]), sometimes, threaded=True)
"""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def uri(port: int, path: str, credentials: str = "key:secret") -> str:
    """A URI of the server, whether it runs or not."""
    return f"s3://{credentials}@{path}?endpoint_override=http://127.0.0.1:{port}&region=us-east-1"


@contextmanager
def s3_server(port: int, bucket: str, failing: Path) -> Iterator[None]:
    """The server with an empty bucket, from when it answers. As long as the file `failing` is there, it says 503."""
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE, str(port), str(failing)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    try:
        for _ in range(600):
            with socket.socket() as knock:
                if knock.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        fs, _ = pafs.FileSystem.from_uri(f"{uri(port, bucket)}&allow_bucket_creation=true")
        fs.create_dir(bucket)
        yield
    finally:
        process.kill()
        process.wait()
