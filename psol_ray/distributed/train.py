"""Training by Ray Train, seen from the driver: start it, and start it again from its last checkpoint after a fault."""

import sys
from typing import Any

import ray
from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig, TrainingFailedError
from ray.train.torch import TorchTrainer

from psol_ray.distributed.cluster import WorkerPlan
from psol_ray.distributed.node_checks import NodeChecks
from psol_ray.distributed.progress import RemoteTracker
from psol_ray.distributed.ray_init import keep_handlers
from psol_ray.distributed.train_worker import train_worker
from psol_ray.errors import UserError
from psol_ray.training.setup import TrainingSetup

__all__ = ["check_batch", "train"]


def train(
    setup: TrainingSetup, plan: WorkerPlan, tracker: RemoteTracker, max_failures: int, checks: NodeChecks | None = None
) -> None:
    """Train to the end, from the last checkpoint if there is one.

    Args:
        setup: what to train.
        plan: how many workers, and what each has.
        tracker: takes how far it is.
        max_failures: faults after which it goes on; with one more it is given up.
        checks: of the nodes; None takes them as they are.

    Raises:
        UserError: what a worker raised as one; or it was given up.
    """
    for failures_left in reversed(range(max_failures + 1)):
        try:
            _fit(_make_trainer(setup, plan, tracker, checks))
            return
        except TrainingFailedError as error:
            _raise_mistake(error)
            if not failures_left:
                raise UserError(
                    f"training failed {max_failures + 1} times, which is more than cluster.max_failures allows, in the"
                    f" end by {_last_line(error)}; fix that, and the same command goes on from the last checkpoint"
                ) from error
            print(f"training failed ({_last_line(error)}); going on from the last checkpoint", file=sys.stderr)


def _fit(trainer: Any) -> None:
    with keep_handlers():
        # Ray Train's own handler of Ctrl-C would take it for the end of the training, and later of nothing at all.
        trainer._register_sigint_handler = lambda _controller: None
        trainer.fit()


def _make_trainer(
    setup: TrainingSetup, plan: WorkerPlan, tracker: RemoteTracker, checks: NodeChecks | None
) -> TorchTrainer:
    probe = checks.probe if checks else None
    folder, _, name = setup.stage.path.rpartition("/")
    return TorchTrainer(
        train_worker,
        # A reference, because Ray Train's controller unpacks this too, and would import all of torchvision for it.
        train_loop_config={"setup": ray.put(setup), "num_cpus": plan.num_cpus, "progress": tracker, "probe": probe},
        scaling_config=ScalingConfig(
            num_workers=_group_size(plan),
            use_gpu=bool(plan.num_gpus),
            resources_per_worker=plan.resources(),
            **_without_unfit(checks),
        ),
        run_config=RunConfig(
            # A run is resumed by its name and place; without a stable name it would start anew.
            name=name,
            storage_path=folder,
            storage_filesystem=setup.stage.fs,
            # `train` starts a failed run again itself: Ray Train would also retry what only the user can fix.
            failure_config=FailureConfig(max_failures=0),
            checkpoint_config=CheckpointConfig(num_to_keep=1),
        ),
    )


def _without_unfit(checks: NodeChecks | None) -> dict[str, Any]:
    selector = checks.label_selector() if checks else {}
    return {"label_selector": selector} if selector else {}


def _group_size(plan: WorkerPlan) -> Any:
    """As Ray Train wants it. Of an elastic group it starts what there is room for, and looks for more once a minute."""
    return (plan.min_workers, plan.num_workers) if plan.min_workers else plan.num_workers


def _raise_mistake(error: TrainingFailedError) -> None:
    """Raise the UserError that a worker raised, if one did."""
    for failure in getattr(error, "worker_failures", {}).values():
        if isinstance(failure, UserError):
            raise failure from None


def _last_line(error: TrainingFailedError) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200]


def check_batch(name: str, batch_size: int, plan: WorkerPlan) -> None:
    """Raise a UserError where the images of a step cannot be divided among the workers."""
    if plan.min_workers and batch_size < plan.num_workers:
        raise UserError(
            f"{name}.batch_size: {batch_size} images a step leave some of up to {plan.num_workers} workers without one;"
            f" make it larger, or cluster.workers {batch_size} at most"
        )
    if not plan.min_workers and batch_size % plan.num_workers:
        raise UserError(
            f"{name}.batch_size: {batch_size} cannot be shared by {plan.num_workers} workers;"
            " make it a multiple of them"
        )
