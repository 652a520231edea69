"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real data and weights; tests that need it skip without."""
    folder = os.environ.get("PSOL_SHARED")
    if not folder:
        pytest.skip("PSOL_SHARED is not set: no shared test data")
    return Path(folder)
