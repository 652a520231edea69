"""A real S3 server on loopback (moto's), which answers as late as a network's would."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow.fs as pafs

__all__ = ["s3_server"]

# The number of milliseconds is read for each request, so that one server serves all rounds.
_SERVE = """
import sys, time
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

app = DomainDispatcherApplication(create_backend_app)

def late(environ, start_response):
    with open(sys.argv[2]) as file:
        time.sleep(float(file.read() or 0) / 1000)
    return app(environ, start_response)

run_simple("127.0.0.1", int(sys.argv[1]), late, threaded=True)
"""
_START_SECONDS = 60


@contextmanager
def s3_server(bucket: str, latency: Path) -> Iterator[pafs.FileSystem]:
    """The server with an empty bucket, found by the environment, as a file system; `latency` holds milliseconds."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    latency.write_text("0")
    os.environ |= {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE, str(port), str(latency)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            with socket.socket() as knock:
                if knock.connect_ex(("127.0.0.1", port)) == 0:
                    break
            if time.monotonic() > deadline:
                raise RuntimeError(f"the S3 server did not answer within {_START_SECONDS} s")
            time.sleep(0.1)
        fs, _ = pafs.FileSystem.from_uri(f"s3://{bucket}?allow_bucket_creation=true")
        fs.create_dir(bucket)
        yield fs
    finally:
        process.kill()
        process.wait()
