"""A server on Ray, and two in a process alone, of which one has narrow limits."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from s3 import free_port
from synthetic.networks import file_of

from serving.servers import Server, serving

CENTRE = [0.25, 0.25, 0.5, 0.5]


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that says the middle of every image, and three classes."""
    path = tmp_path_factory.mktemp("network") / "model.safetensors"
    path.write_bytes(file_of([CENTRE], 3))
    return path


@pytest.fixture(scope="session")
def on_ray(network: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two replicas, which some photos kill (`serving.fragile`)."""
    fragile = Path(__file__).with_name("fragile.py")
    with serving(
        tmp_path_factory.mktemp("on_ray"),
        free_port(),
        str(network),
        "--serve.replicas=2",
        "--serve.max_seconds=280",
        script=fragile,
    ) as server:
        yield server


@pytest.fixture(scope="session")
def alone(network: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server without Ray: what it makes of uploads is the same."""
    with serving(
        tmp_path_factory.mktemp("alone"), free_port(), str(network), "--cluster.address", "in-process"
    ) as server:
        yield server


@pytest.fixture(scope="session")
def narrow(network: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One that takes a megabyte, a million pixels and two seconds."""
    limits = [f"--serve.max_{name}" for name in ("mb=1", "megapixels=1", "seconds=2")]
    with serving(
        tmp_path_factory.mktemp("narrow"), free_port(), str(network), "--cluster.address", "in-process", *limits
    ) as server:
        yield server
