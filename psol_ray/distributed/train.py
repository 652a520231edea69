"""Training by Ray Train, seen from the driver: start it, and start it again from its last checkpoint after a fault.

Each attempt is planned anew: a machine that is gone is not waited for.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import ray
from ray.exceptions import ActorDiedError
from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig, TrainingFailedError
from ray.train.torch import TorchTrainer

from psol_ray.distributed.autoscaler import seconds_since_growth
from psol_ray.distributed.cluster import WorkerPlan
from psol_ray.distributed.groups import group_ids, remove_groups_since
from psol_ray.distributed.metrics import TrainingMetrics
from psol_ray.distributed.node_checks import NodeChecks
from psol_ray.distributed.progress import RemoteTracker
from psol_ray.distributed.ray_init import keep_handlers
from psol_ray.distributed.train_errors import is_late, raise_hopeless, raise_lost_checkpoint, raise_mistake, unfit_nodes
from psol_ray.distributed.train_worker import train_worker
from psol_ray.distributed.waiting import Pulse, Teller
from psol_ray.errors import UserError
from psol_ray.log import say, subject
from psol_ray.tables import StageDir
from psol_ray.training.setup import TrainingSetup

__all__ = ["check_batch", "train"]

# A group that has not started by then never will: a node that an autoscaler starts takes minutes.
_START_SECONDS = 600.0
# Ten steps, after which a worker reports, take minutes on a CPU.
_SILENT_SECONDS = 600.0
_LOOK_SECONDS = 5.0
# Ray Train's own, of the checkpoints that it goes on from.
_TAKEN_IN = "checkpoint_manager_snapshot.json"


class MakePlan(Protocol):
    """See `train_plan.TrainingPlans`."""

    def __call__(self, *, has_begun: bool) -> WorkerPlan: ...


def train(
    setup: TrainingSetup,
    make_plan: MakePlan,
    tracker: RemoteTracker,
    max_failures: int,
    checks: NodeChecks | None = None,
) -> None:
    """Train to the end, from the last checkpoint if there is one.

    Args:
        setup: what to train.
        make_plan: says for each attempt anew how many workers there are to be, and what each has.
        tracker: takes how far it is.
        max_failures: faults without a new checkpoint between them after which it goes on; with one more it is given up.
        checks: of the nodes; None takes them as they are.

    Raises:
        UserError: what a worker raised as one; no group of workers starts; no attempt can mend it; or it was given up.
    """
    faults, waiting_since, has_begun = _Faults(setup.stage, max_failures), None, False
    metrics = TrainingMetrics(subject(), setup.config.batch_size)
    while True:
        plan = make_plan(has_begun=has_begun)
        check_batch(setup.made_by.stage, setup.config.batch_size, plan)
        groups, began = group_ids(), time.monotonic()
        try:
            with _watched(tracker, metrics, can_grow=plan.can_grow):
                _fit(_make_trainer(setup, plan, tracker, checks))
            return
        except ActorDiedError as error:
            raise_lost_checkpoint(error, setup.stage.address)
            if "creation task" in str(error):  # what it raised, it would raise again
                raise
            # Its process was killed: by who runs out of memory, say.
            remove_groups_since(groups)
            faults.count(error, metrics)
            has_begun = True
        except TrainingFailedError as error:
            # Ray Train 2.60 leaves those of a start that fails behind its own back, and the next one would wait for it.
            remove_groups_since(groups)
            raise_mistake(error)
            raise_hopeless(error)
            if is_late(error):
                waiting_since = waiting_since or began
                _tell_or_give_up(plan, time.monotonic() - waiting_since)
                continue
            waiting_since, has_begun = None, True
            _leave_out_unfit(error, checks)
            faults.count(error, metrics)


@dataclass
class _Faults:
    """Those without a new checkpoint between them: a long training on machines that are taken away sees many."""

    stage: StageDir
    most: int
    _number: int = 0
    _checkpoints: bytes | None = None

    def count(self, error: Exception, metrics: TrainingMetrics) -> None:
        """One more, told; raises a UserError where that is too many."""
        checkpoints = self.stage.read_bytes(_TAKEN_IN)
        if checkpoints != self._checkpoints:
            self._number, self._checkpoints = 0, checkpoints
        if self._number == self.most:
            raise UserError(
                f"training failed {self._number + 1} times, which is more than cluster.max_failures allows, in the"
                f" end by {_last_line(error)}; fix that, and the same command goes on from the last checkpoint"
            ) from error
        self._number += 1
        metrics.note_restart(_last_line(error))
        say(f"training failed ({_last_line(error)}); going on from the last checkpoint")


def _leave_out_unfit(error: TrainingFailedError, checks: NodeChecks | None) -> None:
    """Keep the next attempt off nodes that cannot work on the run: Ray Train also takes those that nobody has asked."""
    if checks is not None:
        for unfit in unfit_nodes(error):
            checks.note_fault(unfit.node_id, unfit.fault)


@contextmanager
def _watched(tracker: RemoteTracker, metrics: TrainingMetrics, *, can_grow: bool = False) -> Iterator[None]:
    """Export how far the training is for as long as the block runs, and say it where nothing is heard of it; notice
    where an autoscaler is starting machines, if the cluster `can_grow`."""
    stop, pulse, teller = threading.Event(), Pulse(), Teller(_SILENT_SECONDS)

    def watch() -> None:
        ended = False
        while not ended:
            ended = stop.wait(_LOOK_SECONDS)
            if can_grow:
                seconds_since_growth()
            metrics.look(tracker.snapshot(), tracker.waited())
            pulse.see(tracker.images_done() or {})
            teller.tell(
                "nothing has been heard of the training",
                pulse.silent_s,
                "its steps or its files may be slow, or a worker is frozen, which Ray Train finds after 10 minutes;"
                " see `ray status` and the workers' machines",
            )

    thread = threading.Thread(target=watch, daemon=True, name="watch")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(timeout=1)


def _tell_or_give_up(plan: WorkerPlan, seconds: float) -> None:
    """A start takes a minute at most, so that this comes once a minute."""
    wanted = f"{plan.num_workers} workers of {plan.num_cpus} CPUs{' and a GPU' if plan.num_gpus else ''} each"
    hopeless_s = min(seconds, seconds_since_growth()) if plan.can_grow else seconds
    if hopeless_s > _START_SECONDS:
        raise UserError(
            f"training found no room for {wanted} within {seconds:.0f} s; are others using the cluster? See"
            " `ray status`; the same command goes on from the last checkpoint"
        )
    say(
        f"training has waited for room for {wanted} for {seconds:.0f} s; others may be using the cluster, see"
        f" `ray status`; it is given up after {_START_SECONDS:.0f} s in which no machine is being started either"
    )


def _fit(trainer: Any) -> None:
    with keep_handlers():
        # Ray Train's own handler of Ctrl-C would take it for the end of the training, and later of nothing at all.
        trainer._register_sigint_handler = lambda _controller: None
        trainer.fit()


def _make_trainer(
    setup: TrainingSetup, plan: WorkerPlan, tracker: RemoteTracker, checks: NodeChecks | None
) -> TorchTrainer:
    probe = checks.probe if checks else None
    folder, name = _place(setup.stage.path)
    return TorchTrainer(
        train_worker,
        # A reference, because Ray Train's controller unpacks this too, and would import all of torchvision for it.
        train_loop_config={
            "setup": ray.put(setup),
            "num_cpus": plan.num_cpus,
            "progress": tracker,
            "probe": probe,
            "subject": subject(),
        },
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
            # `train` starts a failed run again itself: Ray Train would also retry what only the user can fix, and wait
            # for a machine that is gone.
            failure_config=FailureConfig(max_failures=0, controller_failure_limit=0),  # type: ignore[call-arg]
            checkpoint_config=CheckpointConfig(num_to_keep=1),
        ),
    )


def _place(stage: str) -> tuple[str, str]:
    """A folder and what is below it, by which Ray Train and its dashboard call the training: the stage's name with its
    run's; where the run is a bucket, or lies in the root, the stage's alone."""
    folder, _, name = stage.rpartition("/")
    above, _, run = folder.rpartition("/")
    return (above, f"{run}/{name}") if above else (folder, name)


def _without_unfit(checks: NodeChecks | None) -> dict[str, Any]:
    selector = checks.label_selector() if checks else {}
    return {"label_selector": selector} if selector else {}


def _group_size(plan: WorkerPlan) -> Any:
    """As Ray Train wants it. Of an elastic group it starts what there is room for, and looks for more once a minute."""
    return (plan.min_workers, plan.num_workers) if plan.min_workers else plan.num_workers


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200]


def check_batch(name: str, batch_size: int, plan: WorkerPlan) -> None:
    """Raise a UserError where a worker would have no image of a step; shares may differ by one."""
    if batch_size < plan.num_workers:
        raise UserError(
            f"{name}.batch_size: {batch_size} images a step leave some of up to {plan.num_workers} workers without one;"
            f" make it larger, or cluster.workers {batch_size} at most"
        )
