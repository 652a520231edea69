"""Divides nodes among workers: how many a node has, and what each of them gets. Knows no Ray."""

from collections.abc import Sequence
from dataclasses import dataclass

from psol_ray.work.jobs import Resources

__all__ = ["Node", "Share", "divide_cpus", "divide_gpus"]


@dataclass(frozen=True)
class Node:
    """A machine of the cluster that lends at least one CPU; `memory` is in bytes, as far as Ray lends it."""

    node_id: str
    num_cpus: int
    num_gpus: int = 0
    memory: float = 0.0


@dataclass(frozen=True)
class Share:
    """How many workers a node has room for, and what each of them has."""

    node_id: str
    num_workers: int
    resources: Resources


def divide_gpus(nodes: Sequence[Node]) -> tuple[Share, ...]:
    """One worker a GPU, with an equal part of its own node's CPUs and memory; nodes without a GPU get none.

    A worker also takes a CPU, so that a node of more GPUs than CPUs has a worker for each CPU.
    """
    return tuple(_share(node, min(node.num_gpus, node.num_cpus), gpu=0) for node in nodes if node.num_gpus)


def divide_cpus(nodes: Sequence[Node], num_workers: int) -> tuple[Share, ...]:
    """`num_workers` workers on CPUs, each with as much as its own node can give: none has fewer CPUs than it must have.

    At most one worker a CPU; nodes that get no worker are left out.
    """
    counts = [0] * len(nodes)
    for _ in range(min(num_workers, sum(node.num_cpus for node in nodes))):
        # The next worker goes where it gets most, which maximizes the smallest share.
        index = max(range(len(nodes)), key=lambda i: (nodes[i].num_cpus // (counts[i] + 1), -counts[i]))
        counts[index] += 1
    return tuple(_share(node, count) for node, count in zip(nodes, counts, strict=True) if count)


def _share(node: Node, num_workers: int, gpu: int | None = None) -> Share:
    # Ray shows an actor of one GPU that GPU alone, as index 0.
    return Share(node.node_id, num_workers, Resources(node.num_cpus // num_workers, gpu, node.memory / num_workers))
