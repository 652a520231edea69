"""Which cluster is meant, and what cannot be one."""

import pytest

from psol_ray.distributed.address import Address, find_address
from psol_ray.distributed.settings import ClusterConfig
from psol_ray.errors import UserError

BAD = ("head", "head:", ":6379", "head:port", "head:99999", "head:\u0662", "http://127.0.0.1:8265", "ray://head")


@pytest.mark.parametrize("value", BAD)
def test_refuses_what_is_no_address(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"^cluster\.address: found '.*', expected HOST:PORT of the cluster's head"):
        find_address(ClusterConfig(address=value))
    monkeypatch.setenv("RAY_ADDRESS", value)
    with pytest.raises(UserError, match=r"^RAY_ADDRESS: found '.*', expected HOST:PORT of the cluster's head"):
        find_address(ClusterConfig())
    assert find_address(ClusterConfig(address="local")) == Address("local", "cluster.address")


def test_no_cluster_at_all_is_a_setting_and_no_address_of_rays(monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_address(ClusterConfig(address="in-process")).value == "in-process"
    monkeypatch.setenv("RAY_ADDRESS", "in-process")
    with pytest.raises(UserError, match=r"^RAY_ADDRESS: found 'in-process'"):
        find_address(ClusterConfig())


@pytest.mark.parametrize(
    ("value", "host_and_port"),
    [("10.0.0.1:6379", ("10.0.0.1", 6379)), ("ray://head:10001", ("head", 10001)), ("[::1]:6379", ("::1", 6379))],
)
def test_takes_host_and_port_apart(value: str, host_and_port: tuple[str, int]) -> None:
    assert find_address(ClusterConfig(address=value)).host_and_port == host_and_port


@pytest.mark.parametrize(
    ("value", "is_head"),
    [("10.0.0.1:6379", True), ("[::1]:6379", True), ("ray://10.0.0.1:10001", False), ("auto", False), ("local", False)],
)
def test_a_head_is_told_from_a_client_server_and_from_words(value: str, is_head: bool) -> None:
    assert find_address(ClusterConfig(address=value)).is_head == is_head
