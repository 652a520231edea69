"""How many workers each attempt of a training has."""

from dataclasses import dataclass, replace

from psol_ray.distributed.cluster import WorkerPlan, find_nodes, plan_workers
from psol_ray.distributed.node_checks import NodeChecks
from psol_ray.distributed.settings import ClusterConfig
from psol_ray.errors import UserError
from psol_ray.log import say

__all__ = ["TrainingPlans"]


@dataclass
class TrainingPlans:
    """Plans an attempt with the machines that are there: as `config` says until one has begun, and after that with what
    is left of them.

    With `gpu` workers have GPUs: a training that has begun with them does not go on without.
    """

    config: ClusterConfig
    checks: NodeChecks
    gpu: bool
    _first: WorkerPlan | None = None

    def __call__(self, *, has_begun: bool = False) -> WorkerPlan:
        """The next attempt's.

        Args:
            has_begun: whether an attempt has found room. Before, an autoscaler, if there is one, may still be making
                it; after, a machine that was lost may never be replaced, and those that are left cost money.

        Raises:
            UserError: the cluster has not what `config` asks for, at first; or not even `min_workers` are left, or none
                with a GPU.
        """
        if self._first is None:
            self._first = plan_workers(self.config, self.checks.require)
            return self._first
        if self._first.min_workers:
            # Ray Train itself starts as many as there is room for, and grows again, on any node that is not known to be
            # unfit: those that have joined are asked, and not waited for.
            self.checks.fit(find_nodes())
            return self._first
        if self.config.workers and (has_begun or not self._first.can_grow):
            # First without, which waits where all machines have left and others are to come.
            plan_workers(replace(self.config, workers=None), self.checks.require)
            config = replace(self.config, workers=min(self.config.workers, self._room()))
        else:
            config = self.config
        plan = plan_workers(config, self.checks.require)
        if self.gpu and not plan.num_gpus:
            raise UserError(
                "the machines with GPUs are gone from the cluster; the same command goes on from the last checkpoint"
                " once they are back"
            )
        if plan.num_workers != self._first.num_workers:
            say(f"training goes on with {plan.num_workers} of {self._first.num_workers} workers")
        return plan

    def _room(self) -> int:
        """How many workers like the first attempt's there is room for by now."""
        assert self._first is not None
        nodes = self.checks.require(find_nodes())
        cpus = sum(node.num_cpus // self._first.num_cpus for node in nodes)
        return max(1, sum(node.num_gpus for node in nodes) if self._first.num_gpus else cpus)
