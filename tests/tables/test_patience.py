"""Which errors of a store pass."""

from contextlib import suppress

import pyarrow.fs as pafs
import pytest

from psol_ray.tables.patience import patiently

AZURE = "GetProperties failed for 'https://acc.blob.core.windows.net/c/p'. Azure Error: [{}] {}\nRequest ID: 1"


@pytest.mark.parametrize(
    "error",
    [
        AZURE.format("AuthenticationFailed", "403 Server failed to authenticate the request."),
        AZURE.format("AuthorizationPermissionMismatch", "403 This request is not authorized."),
        AZURE.format("NoAuthenticationInformation", "401 Server failed to authenticate the request."),
        AZURE.format("ContainerNotFound", "404 The specified container does not exist."),
        AZURE.format("", "403 Forbidden"),
        "When reading: AWS Error ACCESS_DENIED during GetObject operation: Access Denied",
    ],
)
def test_what_lasts_is_not_tried_again(error: str) -> None:
    assert tries(error) == 1


@pytest.mark.parametrize(
    "error",
    [
        AZURE.format("ServerBusy", "503 The server is busy."),
        AZURE.format("OperationTimedOut", "500 Operation could not be completed within the permitted time."),
        "When reading: AWS Error SLOW_DOWN during GetObject operation: 403 of 1000 requests",
    ],
)
def test_what_passes_is(error: str) -> None:
    assert tries(error) == 2


def tries(error: str) -> int:
    """How often something is done that fails with this at first."""
    count = 0

    def act() -> None:
        nonlocal count
        count += 1
        if count == 1:
            raise OSError(error)

    with suppress(OSError):
        patiently(pafs.GcsFileSystem(anonymous=True), "bucket/a", act)
    return count
