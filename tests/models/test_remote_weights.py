"""Weights in a store are copied once for each content, and only what is whole is used."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from s3 import Store

from psol_ray.errors import UserError
from psol_ray.models.weights_id import identify_weights, weights_file


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/psol_ray/weights"


def test_a_copy_is_made_once(store: Store, cache: Path) -> None:
    store.put("w/net.safetensors", b"tensors")
    path = weights_file(store.uri("w/net.safetensors"))
    assert (path.read_bytes(), path.parent, path.suffix) == (b"tensors", cache, ".safetensors")
    asked = len([line for line in store.asked() if line.startswith("GET /bucket/w/net")])
    assert weights_file(store.uri("w/net.safetensors")) == path
    assert len([line for line in store.asked() if line.startswith("GET /bucket/w/net")]) == asked


def test_another_content_is_another_file(store: Store, tmp_path: Path) -> None:
    store.put("w/other.pth", b"one")
    first = identify_weights(store.uri("w/other.pth"))
    store.put("w/other.pth", b"another")
    (tmp_path / "local.pth").write_bytes(b"another")
    assert identify_weights(store.uri("w/other.pth")) == identify_weights(str(tmp_path / "local.pth")) != first


def test_what_is_not_there_is_told_without_its_secrets(store: Store) -> None:
    with pytest.raises(
        UserError, match=r"^weights 's3://bucket/w/gone.pth\?.*': no such file; expected a path, a URI"
    ) as raised:
        weights_file(store.uri("w/gone.pth"))
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("etag", [False, True])
def test_a_store_that_tells_no_time(etag: bool) -> None:
    content, gets = {"": b"one"}, []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content[""])))
            if etag:
                self.send_header("ETag", f'"{content[""].decode()}"')
            self.end_headers()

        def do_GET(self) -> None:
            gets.append(self.path)
            self.do_HEAD()
            self.wfile.write(content[""])

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        uri = f"http://127.0.0.1:{server.server_port}/net.pth"
        assert weights_file(uri).read_bytes() == b"one"
        first = len(gets)
        assert weights_file(uri).read_bytes() == b"one"
        assert (len(gets) == first) == etag
        content[""] = b"two"
        assert weights_file(uri).read_bytes() == b"two"
        server.shutdown()
