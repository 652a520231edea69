"""Asks the autoscaler for nodes, where there is one, and sees whether it brings them.

Ray has no public way to ask whether a cluster has an autoscaler, or which nodes it could bring: `get_cluster_config`,
which Ray Data and Ray Train ask, is filled in on Anyscale alone. What there is, is the report that `ray status` prints.
Every head runs Ray's monitor, which writes it each 5 s: without an autoscaler every node is there a type of its own,
`node_` and its id; with one, types have the names of the cluster file, and the report says what is being started.

Demand is made of placement groups that wait. They end with their job, even one that is killed; a call of
`ray.autoscaler.sdk.request_resources` would hold nodes until somebody takes it back, and overwrite other jobs' calls.
"""

import json
import re
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.experimental.internal_kv import _internal_kv_get
from ray.util.placement_group import placement_group, remove_placement_group

from psol_ray.errors import UserError

__all__ = ["Demand", "bring_node", "has_autoscaler"]

_REPORT_KEY = "__autoscaling_status"
_NO_TYPE = re.compile(r"node_[0-9a-f]{56}")
_POLL_SECONDS = 0.5
# The first report may be older than the demand, and the second may have been made while the demand arrived.
_REPORTS = 4
# A monitor that is silent for so long has died. It also is while it starts nodes, one after the other.
_SILENCE_SECONDS = 300.0

# Clusters, by address, whose autoscaler had no nodes with a GPU: asking costs some 15 s.
_without_gpus: set[str] = set()


@dataclass(frozen=True)
class _Report:
    """What the autoscaler says of itself; `pending` holds the resources of all nodes that are being started."""

    written_at: float = 0.0
    has_types: bool = False
    pending: Mapping[str, float] = field(default_factory=dict)


def _read_report() -> _Report:
    text = _internal_kv_get(_REPORT_KEY)
    found = json.loads(text) if text else {}
    report = found.get("autoscaler_report")
    if not report:
        return _Report()
    types = (report.get("node_type_mapping") or {}).values()
    has_types = any(not _NO_TYPE.fullmatch(name) for name in types)
    return _Report(found["time"], has_types, report.get("pending_resources") or {})


def has_autoscaler() -> bool:
    """Whether nodes can come that are not there."""
    return _read_report().has_types


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
    demand = Demand({"CPU": 1, resource: 1})
    demand.ask(1)
    try:
        found = _wait(resource, is_there)
    finally:
        demand.ask(0)
    if resource == "GPU" and not found:
        _without_gpus.add(cluster)
    return found


def _wait(resource: str, is_there: Callable[[], bool]) -> bool:
    reports, seen, seen_at, is_announced = 0, _read_report(), time.monotonic(), False
    while not is_there():
        report = _read_report()
        if report.written_at != seen.written_at:
            seen, seen_at, reports = report, time.monotonic(), reports + 1
        if report.pending.get(resource):
            reports = 0
            if not is_announced:
                print(f"Waiting for a machine with a {resource}, which the autoscaler is starting ...", file=sys.stderr)
                is_announced = True
        if reports >= _REPORTS or time.monotonic() - seen_at > _SILENCE_SECONDS:
            if is_announced:
                raise UserError(
                    f"the autoscaler began to start a machine with a {resource}, and none has joined the cluster;"
                    " see `ray status` for its errors, and run the same command again"
                )
            return False
        time.sleep(_POLL_SECONDS)
    return True
