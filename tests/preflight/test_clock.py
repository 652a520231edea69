"""How far clocks are off, by answers that take their time, and by a server with another date."""

import time
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from psol_ray.preflight.clock import check_store_clock, judge_clock, offset_of, store_endpoint


def test_the_way_of_an_answer_is_no_difference() -> None:
    def slowly() -> float:
        time.sleep(0.05)
        there = time.time() + 30
        time.sleep(0.05)
        return there

    assert offset_of(slowly) == pytest.approx(30, abs=0.05)


@pytest.mark.parametrize(
    ("seconds", "store", "verdict"),
    [(0.3, True, "good"), (-90, True, "odd"), (901, True, "broken"), (-1000, True, "broken"), (1000, False, "odd")],
)
def test_a_store_refuses_what_is_a_quarter_of_an_hour_off(seconds: float, store: bool, verdict: str) -> None:
    finding = judge_clock("clock", seconds, store=store)
    assert finding.verdict == verdict
    assert ("timedatectl" in finding.remedy) is (verdict != "good")


@pytest.fixture
def late_store() -> Iterator[str]:
    """A server whose clock is 20 minutes behind."""

    class Late(BaseHTTPRequestHandler):
        def date_time_string(self, timestamp: float | None = None) -> str:
            return formatdate((timestamp or time.time()) - 1200, usegmt=True)

        def do_HEAD(self) -> None:
            self.send_response(403)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Late)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_the_stores_own_date_is_compared(late_store: str) -> None:
    (finding,) = check_store_clock(late_store)
    assert finding.verdict == "broken"
    assert finding.amount == pytest.approx(1200, abs=3)


def test_a_store_that_does_not_answer() -> None:
    (finding,) = check_store_clock("http://127.0.0.1:1")
    assert finding.verdict == "odd"
    assert "http://127.0.0.1:1 cannot be reached there" in finding.remedy


def test_where_a_store_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    assert store_endpoint("runs/mine") is None
    assert store_endpoint("s3://bucket/x") == "https://s3.amazonaws.com"
    assert store_endpoint("s3://bucket/x?endpoint_override=http://host:9000") == "http://host:9000"
    assert store_endpoint("s3://bucket/x?endpoint_override=host:9000&scheme=http") == "http://host:9000"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://minio:9000")
    assert store_endpoint("s3://bucket/x") == "http://minio:9000"
