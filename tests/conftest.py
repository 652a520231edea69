"""Fixtures that every test may use."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest


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
