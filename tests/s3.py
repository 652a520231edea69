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
from pathlib import Path
from urllib.parse import quote

import boto3
import pyarrow.fs as pafs

__all__ = ["free_port", "guarded", "s3_server", "uri"]

_SERVE = """
import os, sys
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

app = DomainDispatcherApplication(create_backend_app)

def sometimes(environ, start_response):
    if os.path.exists(sys.argv[2] + ".closed") and not environ.get("HTTP_AUTHORIZATION"):
        # As S3 says it; moto itself fails on a request that nobody has signed.
        start_response("403 Forbidden", [("Content-Type", "application/xml")])
        return [b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"]
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


@contextmanager
def guarded(port: int, failing: Path, *actions: str) -> Iterator[str]:
    """Have a running server want permissions, as S3 does; yields the credentials of a user who may do `actions` alone.

    Before that everybody may do everything.
    """
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
