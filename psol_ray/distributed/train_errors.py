"""Which of Ray Train's errors another attempt may mend.

TrainingFailedError
├── WorkerGroupError            workers raised, or died: a UserError and a defect would come again, the rest may not;
│                               an UnfitNode does not once its node is left out
└── ControllerError             of what it holds
    ├── WorkerGroupStartupTimeoutError   there is no room for the group: others use it, or a machine is gone
    └── others                           of the machine (no driver for its GPU) or of the storage
"""

from ray.exceptions import ActorDiedError
from ray.train import TrainingFailedError

from psol_ray.distributed.node_checks import UnfitNode
from psol_ray.errors import UserError

__all__ = ["is_late", "raise_hopeless", "raise_lost_checkpoint", "raise_mistake", "unfit_nodes"]

# Whoever raises these has a defect, or lacks a package.
_DEFECTS = (ImportError, NameError, AttributeError, TypeError, NotImplementedError)

_NO_DRIVER = (
    "a machine lends a GPU that cannot be used there; see `nvidia-smi` on it, and start Ray on it with --num-gpus 0 or"
    " with a driver that works"
)
_HOPELESS = {
    "requires at least one CUDA device": _NO_DRIVER,
    "Found no NVIDIA driver": _NO_DRIVER,
    "NVIDIA driver on your system is too old": _NO_DRIVER,
    "CUDA driver version is insufficient": _NO_DRIVER,
    "no kernel image is available": "PyTorch is not built for the GPU of a machine; leave that machine out",
    "CUDA out of memory": "make batch_size or micro_batch_size smaller",
}


def is_late(error: TrainingFailedError) -> bool:
    """Whether the group of workers did not start within Ray Train's minute, because there is no room for it."""
    # By name: the class is not public.
    cause = getattr(error, "controller_failure", None)
    return type(cause).__name__ == "WorkerGroupStartupTimeoutError"


def raise_mistake(error: TrainingFailedError) -> None:
    """Raise the UserError that a worker raised, if one did."""
    for failure in getattr(error, "worker_failures", {}).values():
        if isinstance(failure, UserError):
            raise failure from None


def unfit_nodes(error: TrainingFailedError) -> list[UnfitNode]:
    """The nodes of those workers that have found that theirs cannot work on the run."""
    failures = getattr(error, "worker_failures", {}).values()
    return [failure for failure in failures if isinstance(failure, UnfitNode)]


def raise_lost_checkpoint(error: ActorDiedError, stage: str) -> None:
    """Raise a UserError where Ray Train's controller died because the checkpoint that its notes name is not there.

    Args:
        error: what became of the controller.
        stage: the folder of the training.
    """
    if "CheckpointManagerInitializationError" in str(error):
        raise UserError(f"{stage}: its last checkpoint is gone; put it back, or train anew with --overwrite") from None


def raise_hopeless(error: TrainingFailedError) -> None:
    """Raise what would come again on the same machines: a sentence if there is one for it, else with its traceback."""
    text = str(error)
    for words, advice in _HOPELESS.items():
        if words in text:
            line = next(line.strip() for line in text.splitlines() if words in line)
            raise UserError(
                f"training cannot go on ({line[:200]}): {advice}; the same command goes on from the last checkpoint"
            ) from error
    if any(isinstance(failure, _DEFECTS) for failure in getattr(error, "worker_failures", {}).values()):
        raise error
