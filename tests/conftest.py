"""Fixtures that every test may use."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from gcs import Bucket, gcs_server
from s3 import Store, free_port, s3_server

# Ray Train's watcher of machines that are about to be taken away: a process a training, which imports for seconds.
os.environ.setdefault("RAY_TRAIN_ENABLE_PREEMPTION_WATCHER", "0")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share a cluster run in one process, so that it is started once, and first, since they take longest."""
    for item in items:
        if "cluster" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("cluster"))


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real data and weights; tests that need it skip without."""
    folder = os.environ.get("PSOL_SHARED")
    if not folder:
        pytest.skip("PSOL_SHARED is not set: no shared test data")
    return Path(folder)


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """Address of a Ray of two CPUs, which `connect` finds already there."""
    # Late: most tests need no Ray, which takes seconds to import.
    import ray

    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    for attempts_left in (2, 1, 0):
        try:
            ray.init(
                address="local", num_cpus=2, include_dashboard=False, logging_level=logging.ERROR, log_to_driver=False
            )
            break
        except Exception:  # a node that is late on a busy machine
            ray.shutdown()
            if not attempts_left:
                raise
    yield ray.get_runtime_context().gcs_address
    ray.shutdown()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A server of S3's."""
    port, failing = free_port(), tmp_path_factory.mktemp("s3") / "failing"
    with s3_server(port, "bucket", failing):
        yield Store(port, failing)


@pytest.fixture
def store(server: Store) -> Iterator[Store]:
    """The server, which works again after the test."""
    yield server
    server.failing.unlink(missing_ok=True)


@pytest.fixture(scope="session")
def gcs() -> Iterator[Bucket]:
    """A bucket of Google's, in an emulator."""
    pytest.importorskip("gcp_storage_emulator")
    with gcs_server(free_port()) as bucket:
        yield bucket
