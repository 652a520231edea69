"""Real servers, in processes of their own, and what is sent to them."""

import http.client
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).parents[2]
_START_SECONDS = 240


@dataclass
class Server:
    """One that runs."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def request(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status and JSON, or text where there is no JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=290)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        is_json = response.headers["content-type"] == "application/json"
        return response.status, json.loads(text) if is_json else text

    def predict(self, body: Any, **headers: str) -> tuple[int, Any]:
        return self.request("POST", "/predict", body, headers)

    def send_form(self, *parts: tuple[str, str, bytes]) -> tuple[int, Any]:
        """Files by field and name."""
        lines = [
            f'--X\r\ncontent-disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'.encode() + data
            for field, name, data in parts
        ]
        headers = {"content-type": "multipart/form-data; boundary=X"}
        return self.request("POST", "/predict", b"\r\n".join([*lines, b"--X--\r\n"]), headers)

    def metric(self, name: str) -> float:
        _, text = self.request("GET", "/metrics")
        return sum(float(line.split()[-1]) for line in text.splitlines() if line.partition("{")[0].split()[0] == name)

    def replicas(self) -> list[int]:
        """Processes of its replicas."""
        name = f"ray::ServeReplica:psol-{os.uname().nodename}-{self.port}:".encode()
        return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if _reads(path).startswith(name)]

    def end(self, number: int = signal.SIGTERM, seconds: float = 60) -> int:
        self.process.send_signal(number)
        return self.process.wait(seconds)


def _reads(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # that process has ended
        return b""


@contextmanager
def serving(folder: Path, port: int, *arguments: str, script: Path | None = None) -> Iterator[Server]:
    """A server that answers; it is ended after."""
    log = folder / f"log-{port}"
    module = [str(script)] if script else ["-m", "psol_ray.cli"]
    command = [sys.executable, *module, "serve", *arguments, "--serve.port", str(port)]
    # Without what `ray.init` has left in this one, such as that the cluster wants a token.
    others = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment = others | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while "serving on" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.2)
        yield Server(process, port, log)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(60)


def picture(
    width: int = 40, height: int = 30, color: Any = (90, 120, 60), kind: str = "JPEG", mode: str = "RGB", **options: Any
) -> bytes:
    """A file of one colour."""
    written = io.BytesIO()
    Image.new(mode, (width, height), color).save(written, kind, **options)
    return written.getvalue()
