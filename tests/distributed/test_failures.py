"""Which errors are deaths. That Ray raises them when it should is in test_pool."""

import pytest
from ray.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    ActorUnschedulableError,
    NodeDiedError,
    ObjectFreedError,
    ObjectLostError,
    ObjectStoreFullError,
    OutOfDiskError,
    OutOfMemoryError,
    OwnerDiedError,
    RayError,
    RayTaskError,
    RuntimeEnvSetupError,
    WorkerCrashedError,
)

from psol_ray.distributed.failures import is_actor_gone, raise_failure
from psol_ray.errors import UserError

CONSTRUCTOR = ActorDiedError(RayTaskError("__init__", "Traceback ...", ZeroDivisionError()))


@pytest.mark.parametrize(
    "error",
    [
        ActorDiedError(),
        ActorUnavailableError("", None),
        ActorUnschedulableError(""),
        NodeDiedError(""),
        WorkerCrashedError(),
        OutOfMemoryError(""),
        ObjectLostError("ab", None, ""),
    ],
    ids=lambda error: type(error).__name__,
)
def test_another_actor_may_do_it(error: RayError) -> None:
    assert is_actor_gone(error)


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (CONSTRUCTOR, ActorDiedError),
        (ObjectStoreFullError("full"), UserError),
        (OutOfDiskError("full"), UserError),
        (RuntimeEnvSetupError("no pip"), UserError),
        (OwnerDiedError("ab", None, ""), UserError),
        (ObjectFreedError("ab", None, ""), UserError),
        (RayTaskError("run", "Traceback ...", ZeroDivisionError()), RayTaskError),
        (RayTaskError("run", "Traceback ...", UserError("fix this")), UserError),
    ],
    ids=lambda value: type(value).__name__,
)
def test_another_actor_would_fail_as_well(error: RayError, raised: type[Exception]) -> None:
    assert not is_actor_gone(error)
    with pytest.raises(raised) as found:
        raise_failure(error)
    assert raised is not UserError or "\n" not in str(found.value)
