"""The nodes of a Ray cluster, and how they are divided among workers."""

from collections.abc import Callable
from dataclasses import dataclass

import ray

from psol_ray.distributed.autoscaler import bring_node, has_autoscaler, starts_nodes
from psol_ray.distributed.settings import ClusterConfig
from psol_ray.distributed.shares import Node, Share, divide_cpus, divide_gpus
from psol_ray.errors import UserError
from psol_ray.log import say

__all__ = ["WorkerPlan", "check_nodes", "find_nodes", "plan_workers"]


@dataclass(frozen=True)
class WorkerPlan:
    """How many workers there are, and what each one has.

    Ray Train's workers are all alike: `num_cpus`, `num_gpus` and `memory` are the smallest share. A pool's workers have
    the share of their own node, and their number grows with the cluster.
    """

    num_workers: int
    """As many as were asked for, or as there is room for now."""
    num_cpus: int
    num_gpus: int
    """0 or 1."""
    memory: float = 0.0
    """Bytes of main memory, of those that Ray leaves to its workers."""
    min_workers: int | None = None
    """Training makes do with so many; None is all."""
    shares: tuple[Share, ...] = ()
    """The nodes there are now."""
    max_workers: int | None = None
    """A pool does not grow beyond; None is one a GPU, or one a machine where there is none, of those that come."""
    can_grow: bool = False
    """Whether an autoscaler can bring the workers that are missing."""

    def resources(self) -> dict[str, float]:
        """Those of a worker, as Ray Train wants them."""
        return {"CPU": self.num_cpus, **({"GPU": self.num_gpus} if self.num_gpus else {})}

    def divide(self, nodes: list[Node], missing: int) -> tuple[Share, ...]:
        """The shares of nodes that have joined; `missing` is how many workers are wanted beside those there are."""
        if self.num_gpus:
            return divide_gpus(nodes)
        if self.max_workers is None:
            return divide_cpus(nodes, len(nodes))
        return divide_cpus(nodes, missing)


def find_nodes() -> list[Node]:
    """The nodes that live and lend a CPU, the head too if it does."""
    # `ray.nodes` is for developers of Ray, "for debugging only". The public ways are worse: `ray.util.state` asks the
    # dashboard, which need not run, and `ray.cluster_resources` adds all nodes up.
    return [
        Node(node["NodeID"], int(lent["CPU"]), int(lent.get("GPU", 0)), lent.get("memory", 0.0))
        for node in ray.nodes()
        if node["Alive"] and (lent := node["Resources"]).get("CPU", 0) >= 1
    ]


def check_nodes() -> list[Node]:
    """The nodes there are; where there is none, waits for one that the autoscaler starts.

    Raises:
        UserError: there is none, and none comes.
    """
    if not find_nodes() and not (has_autoscaler() and bring_node("CPU", lambda: bool(find_nodes()))):
        raise UserError(
            "the Ray cluster has no CPUs to work with, and no autoscaler brings some; add machines, or wait until they"
            " have joined (see `ray status`)"
        )
    return find_nodes()


def plan_workers(config: ClusterConfig, fit: Callable[[list[Node]], list[Node]] | None = None) -> WorkerPlan:
    """One worker a GPU, or one a machine where there is none, unless `config.workers` says how many.

    Where no GPU is there and the autoscaler can bring one, it is asked to and waited for: a cluster whose GPUs are
    still booting is not one of CPUs.

    Args:
        config: how many workers there are to be.
        fit: says which of the nodes may be planned with; None is all.

    Raises:
        UserError: more workers are asked for than the cluster can hold, and it cannot grow.
    """
    can_grow = has_autoscaler()
    if can_grow and not _has_gpus():
        bring_node("GPU", _has_gpus)
    nodes = check_nodes() if fit is None else fit(check_nodes())
    has_gpus = any(node.num_gpus for node in nodes)  # those that may be used
    if has_gpus:
        shares = divide_gpus(nodes)
        there, kind = sum(share.num_workers for share in shares), "GPUs"
    else:
        there, kind = sum(node.num_cpus for node in nodes), "CPUs"
        shares = divide_cpus(nodes, config.workers or len(nodes))
    if config.workers and config.workers > there:
        _check_growth(config.workers, there, kind, can_grow)
    num_workers = config.workers or sum(share.num_workers for share in shares)
    return WorkerPlan(
        num_workers,
        min(share.resources.num_cpus for share in shares),
        int(has_gpus),
        min(share.resources.memory for share in shares),
        _min_workers(config, num_workers),
        shares,
        config.workers,
        can_grow,
    )


def _has_gpus() -> bool:
    return any(node.num_gpus for node in find_nodes())


def _min_workers(config: ClusterConfig, num_workers: int) -> int | None:
    if config.min_workers and config.min_workers > num_workers:
        raise UserError(
            f"cluster.min_workers: found {config.min_workers}, expected at most the {num_workers} workers there are"
        )
    return config.min_workers


def _check_growth(wanted: int, there: int, kind: str, can_grow: bool) -> None:
    if can_grow:
        say(f"The cluster has {there} {kind} for {wanted} workers; the autoscaler is asked for the others")
        bundle = {"CPU": 1, "GPU": 1} if kind == "GPUs" else {"CPU": 1}
        can_grow = starts_nodes(bundle, wanted - there)
    if not can_grow:
        raise UserError(
            f"cluster.workers: {wanted} were asked for and the cluster has {there} {kind}, one for each; ask for fewer"
        )
