"""Runs workers on a Ray cluster: a pool of actors, Ray Train for trainings, tasks for headers."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import ray
from numpy.typing import NDArray
from ray.actor import ActorHandle

from psol_ray.distributed.actor import PartActor
from psol_ray.distributed.cluster import WorkerPlan, plan_workers
from psol_ray.distributed.connection import connect
from psol_ray.distributed.devices import accelerator
from psol_ray.distributed.headers import read_sizes_in_parallel
from psol_ray.distributed.metrics import PoolMetrics
from psol_ray.distributed.node_checks import NodeChecks, checked_nodes
from psol_ray.distributed.pool import PoolStats, run_pool
from psol_ray.distributed.progress import RemoteTracker, tracked
from psol_ray.distributed.settings import ClusterConfig
from psol_ray.distributed.slots import scheduling_strategy
from psol_ray.log import subject
from psol_ray.storage.addresses import Address, image_addresses
from psol_ray.work.executor import PartRun
from psol_ray.work.jobs import Job, Resources

__all__ = ["RayExecutor", "jobs_per_worker"]


def jobs_per_worker(concurrency: int) -> int:
    """How many a worker holds that does so many at once: two at least, so that it never waits for the driver."""
    return max(concurrency, 2)


class RayExecutor:
    """An `Executor` on the cluster that `config` names, joined or started once somebody needs it."""

    def __init__(self, config: ClusterConfig) -> None:
        self._config = config
        self.worker_seconds = 0.0

    @cached_property
    def _plan(self) -> WorkerPlan:
        connect(self._config)
        return plan_workers(self._config)

    @property
    def num_workers(self) -> int:
        """See `Executor.num_workers`."""
        return self._plan.num_workers

    @property
    def device(self) -> str:
        """See `Executor.device`."""
        return accelerator() if self._plan.num_gpus else f"{self._plan.num_cpus} CPUs"

    def prepare(self) -> None:
        """See `Executor.prepare`."""
        connect(self._config)

    def run_parts(self, run: PartRun) -> Sequence[str]:
        """See `Executor.run_parts`."""
        gpu = bool(self._plan.num_gpus)
        stage, _ = next(iter(run.writer.stages.values()))
        with checked_nodes(stage, run.data_root, _some_images(run), gpu=gpu) as checks:
            plan = plan_workers(self._config, checks.require)
            with tracked(run.title, run.total, run.total - run.num_images) as tracker:

                def on_done(job: Job) -> None:
                    if job.is_independent:  # else its name may be that of one which follows
                        tracker.finish(job.name, job.cost)
                    tracker.set_note(run.describe(job))

                stats = PoolStats()
                hosts = run_pool(
                    _actor_starter(run, tracker, checks),
                    plan,
                    run.jobs,
                    jobs_per_worker=jobs_per_worker(run.concurrency),
                    on_done=on_done,
                    stats=stats,
                    fit=checks.fit,
                    left_out=run.left_out,
                    images_done=tracker.images_done,
                    metrics=PoolMetrics(subject()),
                )
        # Of those that were there, and not of those that were planned: nodes come and go.
        self.worker_seconds += stats.worker_seconds
        return hosts

    def read_sizes(self, root: str, image_ids: Sequence[str], max_pixels: int) -> NDArray[np.int32]:
        """See `Executor.read_sizes`."""
        connect(self._config)
        return read_sizes_in_parallel(root, image_ids, max_pixels)

    def train(self, setup: Any, title: str) -> None:
        """See `Executor.train`."""
        # Late: Ray Train and torch take seconds to import, and only a training needs them.
        from psol_ray.distributed.train import train
        from psol_ray.distributed.train_plan import TrainingPlans

        gpu = bool(self._plan.num_gpus)
        images = setup.training_set.images
        some = images.take(pa.array(_pick(range(len(images)))))
        with checked_nodes(setup.stage, setup.data_root, image_addresses(setup.data_root, some), gpu=gpu) as checks:
            plans = TrainingPlans(self._config, checks, gpu)
            with tracked(title, setup.num_images) as tracker:
                train(setup, plans, tracker, self._config.max_failures, checks)

    @contextmanager
    def progress(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        """See `Executor.progress`."""
        connect(self._config)
        with tracked(title, total) as tracker:
            yield lambda done: tracker.update(title, done)


def _pick(items: Sequence[Any]) -> list[Any]:
    """The first, a middle and the last one."""
    return [items[0], items[len(items) // 2], items[-1]] if len(items) else []


def _some_images(run: PartRun) -> list[Address]:
    """Images of which the catalog has a size, so that they can be read, from a few of the jobs."""
    tables = [job.images.filter(pc.field("width") > 0) for job in _pick(run.jobs)]
    return [address for table in tables for address in _pick(image_addresses(run.data_root, table))]


def _actor_starter(
    run: PartRun, tracker: RemoteTracker, checks: NodeChecks
) -> Callable[[Resources, str | None], ActorHandle]:
    """Starts an actor with these resources, on this node if one is named."""
    # One copy in the object store, so that weights are read where the driver is and nowhere else.
    make_worker = ray.put(run.make_worker)
    numbers, what = itertools.count(1), subject()

    def start(resources: Resources, node_id: str | None) -> ActorHandle:
        make_actor: Any = ray.remote(PartActor).options(
            num_cpus=resources.num_cpus,
            num_gpus=0 if resources.gpu is None else 1,
            max_concurrency=run.concurrency,
            scheduling_strategy=scheduling_strategy(node_id),
            label_selector=checks.label_selector(),
        )
        name = replace(what, who=f"worker {next(numbers)}")
        return make_actor.remote(make_worker, resources, run.data_root, run.writer, tracker, name)

    return start
