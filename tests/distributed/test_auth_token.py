"""Clusters that want a token."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
import ray
from ray.exceptions import AuthenticationError

from psol_ray.distributed.auth_token import is_refused, wants_token
from psol_ray.distributed.connection import connect
from psol_ray.distributed.settings import ClusterConfig
from psol_ray.errors import UserError


@pytest.fixture
def head() -> Iterator[Callable[[grpc.StatusCode, str], str]]:
    """Starts what answers everything as a head does that wants a token, or has another fault; returns its address."""
    servers = []

    def start(status: grpc.StatusCode, details: str) -> str:
        class Refuse(grpc.GenericRpcHandler):
            def service(self, _: Any) -> Any:
                return grpc.unary_unary_rpc_method_handler(lambda _, context: context.abort(status, details))

        server = grpc.server(ThreadPoolExecutor(1), handlers=[Refuse()])
        servers.append(server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        return f"127.0.0.1:{port}"

    yield start
    for server in servers:
        server.stop(None)


def test_a_head_that_wants_another_token_is_told_at_once_and_ray_is_not_asked(
    head: Callable[[grpc.StatusCode, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", lambda **_: pytest.fail("went on to Ray"))
    refusal = "InvalidAuthToken: Authentication token is missing or incorrect"
    address, started = head(grpc.StatusCode.UNAUTHENTICATED, refusal), time.monotonic()
    with pytest.raises(
        UserError, match=rf"^cluster.address: the Ray cluster at '{address}' wants a token, .*/auth_token$"
    ):
        connect(ClusterConfig(address=address))
    assert time.monotonic() - started < 5


def test_other_faults_of_a_head_are_left_to_ray(head: Callable[[grpc.StatusCode, str], str]) -> None:
    assert not is_refused(head(grpc.StatusCode.UNIMPLEMENTED, "Method not found"))


def test_a_token_that_is_to_be_there_and_is_not_is_a_want_of_one() -> None:
    assert wants_token(AuthenticationError("no authentication token was found"))
    assert not wants_token(ConnectionError("late"))


def test_the_cluster_that_this_process_has_joined_does_not_refuse_it(cluster: str) -> None:
    assert not is_refused(cluster)
