"""Which of Ray's errors mean that an actor is gone, and its job has to be done again by another.

    RayError
    ├── RayTaskError                    the job's own code raised, and would raise again
    ├── RayActorError
    │   ├── ActorDiedError              * its process ended; with `actor_init_failed` its constructor raised instead
    │   └── ActorUnavailableError       * its node does not answer; it may live, so it is killed
    ├── ActorUnschedulableError         * its node left before it started
    ├── NodeDiedError                   *
    ├── LocalRayletDiedError            * of a task's node
    ├── WorkerCrashedError              *
    ├── OutOfMemoryError                * Ray killed it, because its node's memory was nearly full
    ├── ObjectLostError                 * the answer was left on a node that died before it was fetched
    │   ├── ObjectFetchTimedOutError    *
    │   ├── ObjectReconstructionFailedError  *
    │   ├── OwnerDiedError              whoever made an argument has exited: so it has for every other actor
    │   ├── ObjectFreedError            a defect of ours
    │   └── ReferenceCountingAssertionError  a defect of Ray's
    ├── ObjectStoreFullError            a store or disk that is full stays so
    ├── OutOfDiskError
    ├── RuntimeEnvSetupError            a process with this environment cannot be made, now or later
    ├── UnserializableException         the job raised an error that cannot be unpickled, and would raise it again
    ├── GetTimeoutError, TaskCancelledError, PendingCallsLimitExceeded, ...   nothing here asks for these
    └── RaySystemError, RpcError, AuthenticationError, ...                    Ray itself is broken

Those with a star are on the list. The others end the run: done again, they would be taken for deaths, and be told as
"often memory" after three of them.
"""

from typing import NoReturn

from ray.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    ActorUnschedulableError,
    LocalRayletDiedError,
    NodeDiedError,
    ObjectFetchTimedOutError,
    ObjectLostError,
    ObjectReconstructionFailedError,
    OutOfMemoryError,
    RayError,
    RayTaskError,
    UnserializableException,
    WorkerCrashedError,
)

from psol_ray.errors import UserError

__all__ = ["cause_of", "is_actor_gone", "raise_failure"]

_GONE = (
    ActorDiedError,
    ActorUnavailableError,
    ActorUnschedulableError,
    NodeDiedError,
    LocalRayletDiedError,
    WorkerCrashedError,
    OutOfMemoryError,
    ObjectLostError,
    ObjectFetchTimedOutError,
    ObjectReconstructionFailedError,
)


def is_actor_gone(error: RayError) -> bool:
    """Whether another actor may do what this one did not."""
    # By identity: classes that are not on the list are derived from some that are.
    return type(error) in _GONE and not getattr(error, "actor_init_failed", False)


def cause_of(error: RayError) -> str:
    """What Ray knows of the end of an actor, in one line."""
    text = " ".join(str(error).split())
    _, _, detail = text.partition("Worker exit detail: ")
    return (detail or text)[:300]


def raise_failure(error: RayError) -> NoReturn:
    """Raise an error that would come again: a UserError as it is, a defect with its traceback, others in a sentence."""
    if isinstance(error, RayTaskError) and isinstance(error.cause, UserError):
        raise error.cause from None
    if isinstance(error, (RayTaskError, ActorDiedError, UnserializableException)):
        raise error  # its text holds the traceback of the job, or of the constructor
    reason = " ".join(str(error).split())[:300]
    raise UserError(
        f"Ray failed, and would fail again ({type(error).__name__}: {reason});"
        " fix the cause and run the same command: what is done stays done"
    ) from error
