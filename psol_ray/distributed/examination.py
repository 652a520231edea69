"""Looks at all machines of a cluster at once, each by an actor that takes no CPU; one that is silent is a finding."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from psol_ray.distributed.cluster import check_nodes
from psol_ray.distributed.connection import connect
from psol_ray.distributed.node_checks import Probe, checked_nodes, visible
from psol_ray.distributed.settings import ClusterConfig
from psol_ray.errors import UserError, first_line
from psol_ray.log import say
from psol_ray.preflight.clock import judge_clock, offset_of
from psol_ray.preflight.examine import Lent, Wanted, examine
from psol_ray.preflight.findings import Finding
from psol_ray.storage.addresses import Address
from psol_ray.tables import StageDir
from psol_ray.tables.patience import impatiently
from psol_ray.tables.rehearsal import without_trace

__all__ = ["examine_nodes"]

# A machine starts a process in seconds, or tens of them where it has to unpack the job's files first.
_START_SECONDS = 60.0
_CLOCK_SECONDS = 10.0
# Most of it for a driver that hangs, whose own limit is two minutes.
_EXAMINATION_SECONDS = 180.0


class _Examiner:
    """Looks at the machine that it is started on."""

    def now(self) -> float:
        """Seconds since 1970, by the clock of this machine."""
        return time.time()

    def examine(self, wanted: Wanted, lent: Lent, probe: Probe) -> list[Finding]:
        """See `examine`; and whether this machine sees what the driver sees."""
        with impatiently():
            fault = probe.find_fault()
        seen = Finding("same view", "yes") if fault is None else Finding("same view", "no", "broken", fault)
        return [*examine(wanted, lent), seen]


def examine_nodes(
    config: ClusterConfig, wanted: Wanted, data_root: str, addresses: Sequence[Address]
) -> dict[str, list[Finding]]:
    """What every machine of the cluster says of itself, by its name; those of them that lend a CPU or a GPU.

    Args:
        config: the cluster, which is joined, or started on this machine.
        wanted: what every machine has to have; each reads another share of its images.
        data_root: where the images are.
        addresses: of some images below it.

    Raises:
        UserError: there is no such cluster, or none of its machines lends a CPU and none comes.
    """
    connect(config)
    lending = {node.node_id for node in check_nodes()}  # of a cluster without any yet, the first that comes
    nodes = [node for node in ray.nodes() if node["NodeID"] in lending]
    say(f"Looking at {len(nodes)} machines ...")
    with ExitStack() as stack:
        stage = StageDir(wanted.folder.fs, wanted.folder.path)
        stack.enter_context(without_trace(stage))
        stack.enter_context(impatiently())
        try:
            probe = stack.enter_context(checked_nodes(stage, data_root, addresses, gpu=False)).probe
        except UserError:  # the run directory cannot be written, which the driver's own findings tell
            probe = Probe(data_root, visible(addresses))
        return _ask_all(nodes, wanted, probe)


def _ask_all(nodes: Sequence[Mapping[str, Any]], wanted: Wanted, probe: Probe) -> dict[str, list[Finding]]:
    names = _names(nodes)
    # Other images for each machine: what one has read a server may have in memory for the next.
    shares = [
        replace(wanted, addresses=wanted.addresses[i :: len(nodes)] or wanted.addresses) for i in range(len(nodes))
    ]
    with ThreadPoolExecutor(len(nodes)) as pool:
        return dict(zip(names, pool.map(_ask, nodes, shares, [probe] * len(nodes)), strict=True))


def _names(nodes: Sequence[Mapping[str, Any]]) -> list[str]:
    """Hosts, with the address where two have the same name, and the node's identity where that is the same, too."""
    hosts = [node["NodeManagerHostname"] for node in nodes]
    if len(set(hosts)) == len(hosts):
        return hosts
    return [f"{host} ({node['NodeID'][:6]})" for host, node in zip(hosts, nodes, strict=True)]


def _ask(node: Mapping[str, Any], wanted: Wanted, probe: Probe) -> list[Finding]:
    there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
    make: Any = ray.remote(_Examiner).options(num_cpus=0, scheduling_strategy=there)
    examiner = make.remote()
    lends = node["Resources"]
    lent = Lent(
        int(lends.get("CPU", 0)),
        int(lends.get("GPU", 0)),
        lends.get("object_store_memory", 0.0),
        node["ObjectStoreSocketName"].partition("/session_")[0],
    )
    limit, doing = _START_SECONDS, "start a process"
    try:
        ray.get(examiner.now.remote(), timeout=limit)
        limit, doing = _CLOCK_SECONDS, "tell its time"
        offset = offset_of(lambda: ray.get(examiner.now.remote(), timeout=_CLOCK_SECONDS))
        limit, doing = _EXAMINATION_SECONDS, "look at its places"
        findings = ray.get(examiner.examine.remote(wanted, lent, probe), timeout=limit)
    except GetTimeoutError:
        remedy = f"it did not {doing} within {limit:.0f} s; see whether it, or a mount on it, hangs, and `ray status`"
        return [Finding("answers", "no", "broken", remedy)]
    except RayError as error:
        cause = getattr(error, "cause", None) or error
        remedy = f"it could not {doing} ({first_line(cause)}); see whether psol_ray is installed there, and its logs"
        return [Finding("answers", "no", "broken", remedy)]
    finally:
        ray.kill(examiner)
    return [*findings, judge_clock("clock, off the driver's", offset, store=wanted.endpoint is not None)]
