"""How many workers each attempt of a training has."""

import sys
from dataclasses import dataclass, replace

from psol_ray.distributed.cluster import WorkerPlan, plan_workers
from psol_ray.distributed.node_checks import NodeChecks
from psol_ray.distributed.settings import ClusterConfig
from psol_ray.errors import UserError

__all__ = ["TrainingPlans"]


@dataclass
class TrainingPlans:
    """Plans an attempt with the machines that are there: the first as `config` says, others with what is left of them.

    With `gpu` workers have GPUs: a training that has begun with them does not go on without.
    """

    config: ClusterConfig
    checks: NodeChecks
    gpu: bool
    _first: WorkerPlan | None = None

    def __call__(self) -> WorkerPlan:
        """The next attempt's.

        Raises:
            UserError: the cluster has not what `config` asks for, at first; or not even `min_workers` are left, or none
                with a GPU.
        """
        if self._first is None:
            self._first = plan_workers(self.config, self.checks.require)
            return self._first
        try:
            plan = plan_workers(self.config, self.checks.require)
        except UserError:
            plan = plan_workers(replace(self.config, workers=None), self.checks.require)
        if self.gpu and not plan.num_gpus:
            raise UserError(
                "the machines with GPUs are gone from the cluster; the same command goes on from the last checkpoint"
                " once they are back"
            )
        if plan.num_workers != self._first.num_workers:
            print(f"training goes on with {plan.num_workers} of {self._first.num_workers} workers", file=sys.stderr)
        return plan
