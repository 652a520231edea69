"""Training by Ray Train, seen from the driver: start it, and start it again from its last checkpoint after a fault."""

import sys
from typing import Any

import ray
from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig, TrainingFailedError
from ray.train.torch import TorchTrainer

from psol_ray.distributed.cluster import WorkerPlan
from psol_ray.distributed.train_setup import TrainingTask
from psol_ray.distributed.train_worker import train_worker
from psol_ray.errors import UserError

__all__ = ["train"]


def train(task: TrainingTask, max_failures: int) -> None:
    """Train to the end, from the last checkpoint if there is one.

    Leaves `model.safetensors`, `best.safetensors` (where test images say which epoch that was), `metrics.jsonl` and a
    TensorBoard event file in the stage's folder.

    Args:
        task: what to train.
        max_failures: faults after which it goes on; with one more it is given up.

    Raises:
        UserError: what a worker raised as one; or it was given up.
    """
    for failures_left in reversed(range(max_failures + 1)):
        try:
            _make_trainer(task).fit()
            return
        except TrainingFailedError as error:
            _raise_mistake(error)
            if not failures_left:
                raise UserError(
                    f"training failed {max_failures + 1} times, which is more than cluster.max_failures allows, in the"
                    f" end by {_gist(error)}; fix that, and the same command goes on from the last checkpoint"
                ) from error
            print(f"training failed ({_gist(error)}); going on from the last checkpoint", file=sys.stderr)


def _make_trainer(task: TrainingTask) -> TorchTrainer:
    folder, _, name = task.stage.path.rpartition("/")
    return TorchTrainer(
        train_worker,
        # A reference, because Ray Train's controller unpacks this too, and would import all of torchvision for it.
        train_loop_config={"task": ray.put(task)},
        scaling_config=ScalingConfig(
            num_workers=_group_size(task.plan),
            use_gpu=bool(task.plan.num_gpus),
            resources_per_worker=task.plan.resources(),
        ),
        run_config=RunConfig(
            # A run is resumed by its name and place; without a stable name it would start anew.
            name=name,
            storage_path=folder,
            storage_filesystem=task.stage.fs,
            # `train` starts a failed run again itself: Ray Train would also retry what only the user can fix.
            failure_config=FailureConfig(max_failures=0),
            checkpoint_config=CheckpointConfig(num_to_keep=1),
        ),
    )


def _group_size(plan: WorkerPlan) -> Any:
    """As Ray Train wants it. Of an elastic group it starts what there is room for, and looks for more once a minute."""
    return (plan.min_workers, plan.num_workers) if plan.min_workers else plan.num_workers


def _raise_mistake(error: TrainingFailedError) -> None:
    """Raise the UserError that a worker raised, if one did."""
    for failure in getattr(error, "worker_failures", {}).values():
        cause = getattr(failure, "_base_exc", failure)  # Ray Train wraps it together with its traceback
        if isinstance(cause, UserError):
            raise cause from None


def _gist(error: TrainingFailedError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200]
