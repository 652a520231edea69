"""Where a pool's next worker may be started, on a cluster whose nodes come and go."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from psol_ray.distributed.autoscaler import Demand, seconds_since_growth
from psol_ray.distributed.cluster import WorkerPlan, find_nodes
from psol_ray.distributed.shares import Node, Share
from psol_ray.work.jobs import Resources

__all__ = ["Slots", "scheduling_strategy"]


def scheduling_strategy(node_id: str | None) -> NodeAffinitySchedulingStrategy | str:
    """What `options` of an actor wants, to be started on this node, or on any."""
    return "DEFAULT" if node_id is None else NodeAffinitySchedulingStrategy(node_id, soft=False)


class Slots:
    """The shares of the nodes that live, of which workers take theirs."""

    def __init__(self, plan: WorkerPlan, fit: Callable[[list[Node]], list[Node]] | None = None) -> None:
        """`fit` says which of the nodes there are may be used, again and again; None is all."""
        self._plan, self._fit = plan, fit
        self._shares = {share.node_id: share for share in plan.shares}
        self._demand = Demand({"CPU": 1, "GPU": 1} if plan.num_gpus else {"CPU": 1})
        self._lost_at = float("-inf")
        self._usable: frozenset[str] = frozenset()
        self.refresh()

    def refresh(self) -> None:
        """Look which nodes there are."""
        found = find_nodes()
        nodes = {node.node_id: node for node in (found if self._fit is None else self._fit(found))}
        self._usable = frozenset(nodes)
        left = self._shares.keys() - nodes.keys()
        for node_id in left:
            del self._shares[node_id]
        joined = [node for node_id, node in nodes.items() if node_id not in self._shares]
        missing = (self._plan.max_workers or 0) - self._num_slots
        self._shares |= {share.node_id: share for share in self._plan.divide(joined, max(missing, 0))}
        if left:
            self._lost_at = time.monotonic()

    def may_use(self, node_id: str) -> bool:
        """Whether workers may be on that node; looks again at one that was not there."""
        if self._fit is None:
            return True
        if node_id not in self._usable:
            self.refresh()
        return node_id in self._usable

    def seconds_since_growth(self) -> float:
        """Since the autoscaler was last seen to start a machine; without one, for ever."""
        return seconds_since_growth() if self._plan.can_grow else float("inf")

    def seconds_since_loss(self) -> float:
        """Since it was noticed that a node has left."""
        return time.monotonic() - self._lost_at

    @property
    def _num_slots(self) -> int:
        return sum(share.num_workers for share in self._shares.values())

    def find_free(self, taken: Sequence[Share]) -> Share | None:
        """The share of a node with room for a worker beside those that have `taken` theirs, if there is one."""
        limit = self._num_slots if self._plan.max_workers is None else min(self._num_slots, self._plan.max_workers)
        if len(taken) >= limit:
            return None
        counts = Counter(share.node_id for share in taken)
        return max(self._shares.values(), key=lambda share: share.num_workers - counts[share.node_id])

    def place(self, share: Share) -> tuple[Resources, str | None]:
        """What a worker gets, and the node it has to be on: None, where nodes are alike, leaves that to Ray, which
        knows what others use."""
        if len({other.resources.num_cpus for other in self._shares.values()}) > 1:
            return share.resources, share.node_id
        return replace(share.resources, memory=min(s.resources.memory for s in self._shares.values())), None

    def ask_for_more(self, num_workers: int, num_jobs: int, *, is_starting: bool) -> None:
        """Have the autoscaler make room for the workers that are missing.

        Not while workers start: the demand that waits would take the room that is meant for them.
        """
        if self._plan.can_grow:
            wanted = self._plan.max_workers or 1
            self._demand.ask(0 if is_starting else max(0, min(num_jobs, wanted - num_workers)))

    def close(self) -> None:
        """Withdraw the demand."""
        self._demand.ask(0)
