"""A real S3 server on loopback, in a process of its own, that can be told to fail."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pyarrow.fs as pafs

__all__ = ["Store", "environment", "free_port", "guarded", "put_folder", "requests", "s3_server", "uri"]

_SERVE = """
import collections, itertools, json, os, sys, time
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

app = DomainDispatcherApplication(create_backend_app)
numbers, failed = itertools.count(1), collections.Counter()

def sometimes(environ, start_response):
    number, faults = next(numbers), {}
    if os.path.exists(sys.argv[2] + ".closed") and not environ.get("HTTP_AUTHORIZATION"):
        # As S3 says it; moto itself fails on a request that nobody has signed.
        start_response("403 Forbidden", [("Content-Type", "application/xml")])
        return [b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"]
    if os.path.exists(sys.argv[2]):
        with open(sys.argv[2]) as file:
            faults = json.loads(file.read() or "{}") or {"every": 1}
    time.sleep(faults.get("seconds", 0))
    # A run of failures begins anew whenever somebody writes the file.
    begun = os.stat(sys.argv[2]).st_mtime_ns if "row" in faults else 0
    failed[begun] += 1
    if failed[begun] <= faults.get("row", 0) or "every" in faults and not number % faults["every"]:
        start_response(faults.get("status", "503 Slow Down"), [("Content-Type", "application/xml")])
        return [b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"]
    with open(sys.argv[2] + ".requests", "a") as file:
        file.write(f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} {environ.get('HTTP_RANGE', '')}\\n")
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


def environment(port: int) -> dict[str, str]:
    """Variables by which every library of AWS finds the server: with these, a URI needs no parameters."""
    return {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def put_folder(port: int, folder: Path, target: str) -> None:
    """Copy a folder to `BUCKET/PATH`."""
    fs, _ = pafs.FileSystem.from_uri(uri(port, target.partition("/")[0]))
    pafs.copy_files(str(folder), target, destination_filesystem=fs)


def requests(failing: Path) -> list[str]:
    """What the server was asked for so far: method, path and range."""
    taken_down = failing.with_name(f"{failing.name}.requests")
    return taken_down.read_text().splitlines() if taken_down.exists() else []


def wait_for_port(port: int) -> None:
    """Until something answers there, or a minute has gone."""
    for _ in range(600):
        with socket.socket() as knock:
            if knock.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)


@contextmanager
def s3_server(port: int, bucket: str, failing: Path) -> Iterator[None]:
    """The server with an empty bucket, from when it answers.

    As long as the file `failing` is there, it says 503; where that holds JSON, to `every` so-manieth request, or to so
    many in a `row`, with another `status`, or it answers `seconds` later.
    `failing.requests` takes down what was asked for and answered.
    """
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE, str(port), str(failing)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **environment(port)},
    )
    try:
        wait_for_port(port)
        fs, _ = pafs.FileSystem.from_uri(f"{uri(port, bucket)}&allow_bucket_creation=true")
        fs.create_dir(bucket)
        yield
    finally:
        process.kill()
        process.wait()


@dataclass(frozen=True)
class Store:
    """The server; as long as the file `failing` is there, it fails as that says."""

    port: int
    failing: Path

    def uri(self, path: str) -> str:
        """The address of `bucket/PATH`."""
        return uri(self.port, f"bucket/{path}")

    def put(self, path: str, data: bytes) -> None:
        """Write `bucket/PATH`."""
        fs, at = pafs.FileSystem.from_uri(self.uri(path))
        with fs.open_output_stream(at) as stream:
            stream.write(data)

    def delete_folder(self, path: str) -> None:
        """Delete `bucket/PATH/...`."""
        fs, at = pafs.FileSystem.from_uri(self.uri(path))
        fs.delete_dir(at)

    def asked(self) -> list[str]:
        """See `requests`."""
        return requests(self.failing)


@contextmanager
def guarded(port: int, failing: Path, *actions: str) -> Iterator[str]:
    """Have a running server want permissions, as S3 does; yields the credentials of a user who may do `actions` alone.

    Before that everybody may do everything.
    """
    # Late: every process of the tests imports this module.
    import boto3

    endpoint = f"http://127.0.0.1:{port}"
    iam = boto3.client(
        "iam", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key="secret"
    )
    iam.create_user(UserName="user")
    key = iam.create_access_key(UserName="user")["AccessKey"]
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]}
    iam.put_user_policy(UserName="user", PolicyName="policy", PolicyDocument=json.dumps(policy))
    _count_free_actions(endpoint, "0")
    closed = Path(f"{failing}.closed")
    closed.touch()
    try:
        yield f"{quote(key['AccessKeyId'], '')}:{quote(key['SecretAccessKey'], '')}"
    finally:
        closed.unlink()
        _count_free_actions(endpoint, "inf")


def _count_free_actions(endpoint: str, number: str) -> None:
    """How many requests are answered without looking for permissions."""
    headers = {"Content-Type": "text/plain"}
    request = urllib.request.Request(f"{endpoint}/moto-api/reset-auth", number.encode(), headers, method="POST")
    urllib.request.urlopen(request).close()
