"""Networks are tiny here, and decoders Pillow's where a test does not make DALI's itself."""

from collections.abc import Iterator

import pytest
from synthetic.fixtures import one_thread, pillow_alone

__all__ = ["one_thread"]


@pytest.fixture(scope="package", autouse=True)
def _pillow() -> Iterator[None]:
    with pillow_alone():
        yield


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is away here does not come back by itself."""
    monkeypatch.setattr("psol_ray.images.batches._PAUSES_SECONDS", ())
