"""Asks the autoscaler for nodes, where there is one, and sees whether it brings them.

Ray has no public way to ask whether a cluster has an autoscaler, or which nodes it could bring: `get_cluster_config`,
which Ray Data and Ray Train ask, is filled in on Anyscale alone. What there is, is what `ray status` prints, which each
head's monitor writes every 5 s. `ray up` and KubeRay start the autoscaler's second version, which reports to the GCS;
`ray start` and `ray.init` the first, in the internal key-value store. With an autoscaler, nodes have the types that the
cluster file names; without one they have none, or the first version gives each a type of its own, `node_` and its id.
KubeRay gives nodes types in a cluster without an autoscaler, too, whose monitor reports like one that starts nothing.
So types are a hint, and what is waited for long has been seen to be started.

Demand is made of placement groups that wait. They end with their job, even one that is killed; a call of
`ray.autoscaler.sdk.request_resources` would hold nodes until somebody takes it back, and overwrite other jobs' calls.
"""

import json
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util import client
from ray.util.placement_group import placement_group, remove_placement_group

from psol_ray.distributed.waiting import Teller
from psol_ray.errors import UserError
from psol_ray.log import say

__all__ = ["Demand", "bring_node", "has_autoscaler", "seconds_since_growth", "starts_nodes"]

_REPORT_KEY = "__autoscaling_status"
_NO_TYPE = re.compile(r"node_[0-9a-f]{56}")
_POLL_SECONDS = 0.5
_REPLY_SECONDS = 10
# The first report may be older than the demand, and the second may have been made while the demand arrived.
_REPORTS = 4
# A monitor that is silent for so long has died. It also is while it starts nodes, one after the other.
_SILENCE_SECONDS = 300.0

# Clusters, by address, whose autoscaler had no nodes with a GPU: asking costs some 15 s.
_without_gpus: set[str] = set()
# When one was last seen to start something.
_growing_at = float("-inf")


@dataclass(frozen=True)
class _Report:
    """What the autoscaler says of itself.

    `number` differs from report to report; `starting` holds the resources of the nodes that are being started, as far
    as they are known; `infeasible` the bundles for which it has no nodes.
    """

    number: float = 0.0
    has_types: bool = False
    starting: frozenset[str] = frozenset()
    infeasible: tuple[Mapping[str, float], ...] = ()

    def is_starting(self, bundle: Mapping[str, float]) -> bool:
        return self.starting.issuperset(bundle) and bundle not in self.infeasible


def _read_report() -> _Report:
    """What the autoscaler says; a Ray in which these private ways have moved has none, as far as can be known."""
    global _growing_at
    try:
        report = _ask_ray()
    except (ImportError, AttributeError, KeyError):
        return _Report()
    if report.starting:
        _growing_at = time.monotonic()
    return report


def _ask_ray() -> _Report:
    # Late, because they are private: a Ray without them still runs everything but the growing.
    from ray._raylet import GcsClient  # type: ignore[attr-defined]
    from ray.core.generated.autoscaler_pb2 import GetClusterStatusReply  # type: ignore[attr-defined]
    from ray.experimental.internal_kv import _internal_kv_get

    text = _internal_kv_get(_REPORT_KEY)
    if text:
        return _parse_first_version(json.loads(text))
    if client.ray.is_connected():  # where the GCS cannot be reached
        return _Report()
    status = GcsClient(address=ray.get_runtime_context().gcs_address).get_cluster_status(timeout_s=_REPLY_SECONDS)
    return _parse_second_version(GetClusterStatusReply.FromString(status))


def _parse_first_version(status: Mapping[str, Any]) -> _Report:
    report = status.get("autoscaler_report") or {}
    types = (report.get("node_type_mapping") or {}).values()
    has_types = any(not _NO_TYPE.fullmatch(name) for name in types)
    return _Report(status["time"], has_types, frozenset(report.get("pending_resources") or ()))


def _parse_second_version(status: Any) -> _Report:
    state = status.autoscaling_state
    has_types = any(node.ray_node_type_name for node in status.cluster_resource_state.node_states)
    # It does not say what the nodes have that it is starting.
    is_starting = bool(state.pending_instances or state.pending_instance_requests)
    infeasible = tuple(
        dict(request.resources_bundle)
        for group in state.infeasible_gang_resource_requests
        for request in group.requests
    )
    starting = frozenset(("CPU", "GPU") if is_starting else ())
    return _Report(state.last_seen_cluster_resource_state_version, has_types, starting, infeasible)


def has_autoscaler() -> bool:
    """Whether nodes may come that are not there."""
    return _read_report().has_types


def seconds_since_growth() -> float:
    """Seconds since the autoscaler was last seen to start a machine, for whomever; 0 while it does."""
    with suppress(RayError, OSError, RuntimeError):  # a head that is busy, of which nobody's work is to end
        _read_report()
    return time.monotonic() - _growing_at


def starts_nodes(bundle: Mapping[str, float], num_workers: int) -> bool:
    """Whether the autoscaler starts a machine when so many workers more are asked for, or was seen to lately."""
    if seconds_since_growth() < _SILENCE_SECONDS:
        return True
    demand, since = Demand(bundle), time.monotonic()
    demand.ask(num_workers)
    try:
        return _is_seen_to_start(bundle, since)
    finally:
        demand.ask(0)


def _is_seen_to_start(bundle: Mapping[str, float], since: float) -> bool:
    reports, seen, there = 0, _read_report(), _count_nodes()
    while reports < _REPORTS and time.monotonic() - since < _SILENCE_SECONDS:
        report = _read_report()
        if report.is_starting(bundle) or _count_nodes() > there:
            return True
        if report.number != seen.number:
            seen, reports = report, reports + 1
        time.sleep(_POLL_SECONDS)
    return False


def _count_nodes() -> int:
    return sum(node["Alive"] for node in ray.nodes())


class Demand:
    """Room for some workers that the autoscaler is to make. It is withdrawn before workers are to take the room."""

    def __init__(self, bundle: Mapping[str, float]) -> None:
        """`bundle` is what a worker needs at least: a CPU, or a CPU and a GPU."""
        self._bundle = dict(bundle)
        self._groups: list[Any] = []

    def ask(self, num_workers: int) -> None:
        """Ask for room for so many, instead of what was asked before."""
        while len(self._groups) > num_workers:
            remove_placement_group(self._groups.pop())
        while len(self._groups) < num_workers:
            self._groups.append(placement_group([self._bundle]))


def bring_node(resource: str, is_there: Callable[[], bool]) -> bool:
    """Wait for a node with `resource`, CPU or GPU, for as long as the autoscaler is starting one.

    Returns:
        whether it is there: False where the autoscaler starts none, because its cluster file has no such nodes.

    Raises:
        UserError: it began to start one and gave up.
    """
    cluster = ray.get_runtime_context().gcs_address
    if resource == "GPU" and cluster in _without_gpus:
        return False
    bundle = {"CPU": 1, resource: 1}
    demand = Demand(bundle)
    demand.ask(1)
    try:
        found = _wait(resource, bundle, is_there)
    finally:
        demand.ask(0)
    if resource == "GPU" and not found:
        _without_gpus.add(cluster)
    return found


def _wait(resource: str, bundle: Mapping[str, float], is_there: Callable[[], bool]) -> bool:
    reports, seen, is_announced = 0, _read_report(), False
    teller = Teller()
    started = seen_at = time.monotonic()
    while not is_there():
        report = _read_report()
        if report.number != seen.number:
            seen, seen_at, reports = report, time.monotonic(), reports + 1
        if report.is_starting(bundle):
            reports = 0
            if not is_announced:
                say(f"Waiting for a machine with a {resource}, which the autoscaler is starting ...")
                is_announced = True
        if reports >= _REPORTS or time.monotonic() - seen_at > _SILENCE_SECONDS:
            if is_announced:
                raise UserError(
                    f"the autoscaler began to start a machine with a {resource}, and none has joined the cluster;"
                    " see `ray status` for its errors, and run the same command again"
                )
            return False
        does = "is starting one" if is_announced else "has not said whether it starts one"
        teller.tell(
            f"A machine with a {resource} has not come",
            time.monotonic() - started,
            f"the autoscaler {does}; `ray status` shows its errors, and Ctrl-C ends the waiting",
        )
        time.sleep(_POLL_SECONDS)
    return True
