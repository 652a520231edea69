"""Machines prove that they see a run's directory and its images before they work on it.

The driver puts a file of random bytes into the stage's folder, and every machine has to read it there. One that has a
folder of the same name on its own disk would otherwise write parts that nobody reads, and one without the images' mount
would find no image. A machine that fails is named with its reason, and gets no work; the others go on. Every few
minutes it is asked again: a mount may come seconds after Ray.
"""

import os
import time
import uuid
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from psol_ray.distributed.shares import Node
from psol_ray.distributed.waiting import Teller
from psol_ray.errors import UserError, abbreviate, first_line, without_secrets
from psol_ray.log import say
from psol_ray.preflight.gpus import fault_of_cuda
from psol_ray.storage.addresses import Address, is_uri
from psol_ray.tables import StageDir
from psol_ray.work.perform import why_away

__all__ = ["NodeChecks", "Probe", "UnfitNode", "checked_nodes", "exclude", "visible"]

# A network file system may show a file late that another machine has written.
_SIGHT_SECONDS = 5.0
# A busy machine needs a while to start a process; after that the others begin without it.
_LATE_SECONDS = 60.0
# Where there is no other.
_LIMIT_SECONDS = 600.0
_ASK_AGAIN_SECONDS = 180.0
# A task may fail to start where a machine is about to get ready: while its copy of the code is being unpacked, say.
_MAX_ERRORS = 3
_AFTER_ERROR_SECONDS = 3.0


@dataclass(frozen=True)
class Probe:
    """What a machine has to see.

    `addresses` are of some images below `data_root` that the driver sees; `token` is what the file `name` in `stage`
    holds, where machines are to write something.
    """

    data_root: str
    addresses: tuple[Address, ...] = ()
    stage: StageDir | None = None
    name: str = ""
    token: bytes = b""

    def find_fault(self, *, gpu: bool = False) -> str | None:
        """Why this machine cannot work on the run; None where it can.

        Args:
            gpu: whether it has to have a GPU that works.
        """
        fault = None if self.stage is None else self._fault_of_run_dir(self.stage)
        return fault or self._fault_of_data() or (fault_of_cuda() if gpu else None)

    def _fault_of_run_dir(self, stage: StageDir) -> str | None:
        deadline = time.monotonic() + _SIGHT_SECONDS
        try:
            while stage.read_bytes(self.name) != self.token:
                if time.monotonic() > deadline:
                    return f"{stage.path} there is not the folder of this run; mount run_dir on it"
                time.sleep(0.2)
        except (OSError, UserError) as error:
            return f"{stage.path} cannot be read there ({first_line(error)})"
        if stage.fs.type_name == "local" and not os.access(stage.path, os.W_OK):
            return f"{stage.path} cannot be written there"
        return None

    def _fault_of_data(self) -> str | None:
        if not self.data_root:
            return None
        root = without_secrets(self.data_root)
        if not is_uri(self.data_root) and not os.path.isdir(self.data_root):
            return f"data.root {root} is no folder there; mount the images on it"
        reasons = {str(address): why for address in self.addresses if (why := why_away(address))}
        if reasons:
            first = next(iter(reasons.values()))
            lacks = f"data.root {root} there lacks images of the catalog ({abbreviate(reasons)}: {first})"
            return f"{lacks}; mount them, or let it read them"
        return None


class UnfitNode(Exception):
    """A node on which something was started that cannot work on the run."""

    def __init__(self, node_id: str, host: str, fault: str) -> None:
        super().__init__(node_id, host, fault)  # all, because it travels by pickle
        self.node_id, self.host, self.fault = node_id, host, fault

    def __str__(self) -> str:
        return f"a worker was started on {self.host}, which cannot work on this run: {self.fault}"


def _find_fault(probe: Probe, gpu: bool) -> str | None:
    return probe.find_fault(gpu=gpu)


@dataclass
class NodeChecks:
    """Which nodes may work on a run: those that have proven that they see what `probe` says. Others are told of, once
    for each reason, and asked again after a while.

    With `gpu` only nodes with GPUs count, and these have to be in working order.
    """

    probe: Probe
    gpu: bool = False
    faults: dict[str, str] = field(default_factory=dict)
    """Why nodes must not work on the run, by their identity."""
    _ask_at: dict[str, float] = field(default_factory=dict)
    _errors: Counter[str] = field(default_factory=Counter)
    _fit: set[str] = field(default_factory=set)
    _asked: dict[Any, Node] = field(default_factory=dict)

    def fit(self, nodes: Sequence[Node]) -> list[Node]:
        """Those of the nodes that have proven it by now. Waits for nobody: one that is new is asked, and counts as soon
        as it has answered."""
        nodes = self._ask(nodes)
        self._take_in(seconds=0)
        return [node for node in nodes if node.node_id in self._fit]

    def require(self, nodes: Sequence[Node]) -> list[Node]:
        """Those of the nodes that have proven it, once all have answered, or some have and the others are late.

        Raises:
            UserError: none of them can work on the run, or none answers.
        """
        started, teller = time.monotonic(), Teller(_LATE_SECONDS)
        nodes = self._ask(nodes)
        while late := [node for node in nodes if node.node_id in self._unanswered()]:
            self._ask(late)  # again, where the question failed
            self._take_in(seconds=1)
            seconds = time.monotonic() - started
            if self._fit and seconds > _LATE_SECONDS:
                break
            if seconds > _LIMIT_SECONDS:
                raise UserError(
                    f"{_names(late)} did not answer within {_LIMIT_SECONDS:.0f} s whether run_dir and data.root are"
                    " there; see `ray status`, and whether their mounts hang"
                )
            teller.tell(
                "Machines have not said whether run_dir and data.root are there",
                seconds,
                f"still waiting for {_names(late)}, where a mount may hang",
            )
        fit = [node for node in nodes if node.node_id in self._fit]
        if not fit:
            faults = [f"{_name(node.node_id)}: {self.faults.get(node.node_id, 'it has left')}" for node in nodes]
            raise UserError(f"no machine of the Ray cluster can work on this run ({'; '.join(faults[:3])})")
        return fit

    def note_fault(self, node_id: str, fault: str) -> None:
        """The node must not work on the run until it is found to be fit; told where that is news."""
        self._fit.discard(node_id)
        self._ask_at[node_id] = time.monotonic() + _ASK_AGAIN_SECONDS
        self._errors.pop(node_id, None)
        if self.faults.get(node_id) != fault:
            self.faults[node_id] = fault
            say(f"{_name(node_id)} gets no work: {fault}")

    def _note_fit(self, node_id: str) -> None:
        self._fit.add(node_id)
        self._errors.pop(node_id, None)
        if self.faults.pop(node_id, None):
            say(f"{_name(node_id)} gets work from now on: what it lacked is there")

    def label_selector(self) -> dict[str, str]:
        """What keeps Ray from starting anything on a node that has failed, or not answered yet: its mounts may hang."""
        return exclude(self.faults.keys() | self._unanswered())

    def _ask(self, nodes: Sequence[Node]) -> list[Node]:
        """Ask those that have not been asked, or have failed a while ago; returns those that count."""
        now = time.monotonic()
        later = {node_id for node_id, at in self._ask_at.items() if now < at}
        asked = {node.node_id for node in self._asked.values()} | self._fit | later
        nodes = [node for node in nodes if node.num_gpus or not self.gpu]
        task = ray.remote(_find_fault)  # once, because it is sent for each that is made
        for node in nodes:
            if node.node_id not in asked:
                there = NodeAffinitySchedulingStrategy(node.node_id, soft=False)
                answer = task.options(num_cpus=0, scheduling_strategy=there).remote(self.probe, self.gpu)
                self._asked[answer] = node
        return nodes

    def _unanswered(self) -> set[str]:
        """Nodes that have been asked, or are to be asked again because the question failed."""
        return {node.node_id for node in self._asked.values()} | self._errors.keys()

    def _take_in(self, seconds: float) -> None:
        """Wait for answers for so long, if there is anything to wait for, and note them."""
        if not self._asked:
            time.sleep(min(seconds, 0.2))
        answers, _ = ray.wait(list(self._asked), num_returns=len(self._asked), timeout=seconds)
        for answer in answers:
            node = self._asked.pop(answer)
            try:
                fault = ray.get(answer)
            except RayError as error:
                if not _is_alive(node.node_id):
                    self._errors.pop(node.node_id, None)
                    continue
                self._errors[node.node_id] += 1
                if self._errors[node.node_id] < _MAX_ERRORS:
                    self._ask_at[node.node_id] = time.monotonic() + _AFTER_ERROR_SECONDS
                    continue
                cause = getattr(error, "cause", None) or error
                fault = f"it cannot say whether it sees run_dir and data.root ({first_line(cause)})"
            if fault is None:
                self._note_fit(node.node_id)
            else:
                self.note_fault(node.node_id, fault)


def exclude(node_ids: Collection[str]) -> dict[str, str]:
    """The option `label_selector` that keeps Ray from starting something on these nodes."""
    return {"ray.io/node-id": f"!in({','.join(sorted(node_ids))})"} if node_ids else {}


def _describe(node_id: str) -> dict[str, Any]:
    return next((node for node in ray.nodes() if node["NodeID"] == node_id), {})


def _is_alive(node_id: str) -> bool:
    return bool(_describe(node_id).get("Alive"))


def _name(node_id: str) -> str:
    """A node's host and address."""
    node = _describe(node_id)
    return f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})" if node else f"node {node_id[:8]}"


def _names(nodes: Sequence[Node]) -> str:
    return abbreviate([_name(node.node_id) for node in nodes])


def visible(addresses: Sequence[Address]) -> tuple[Address, ...]:
    """Those of the images that can be read here."""
    return tuple(address for address in addresses if not why_away(address))


@contextmanager
def checked_nodes(stage: StageDir, data_root: str, addresses: Sequence[Address], *, gpu: bool) -> Iterator[NodeChecks]:
    """Checks of a stage that is being made, for as long as the block runs.

    Args:
        stage: whose folder all nodes must see.
        data_root: where its images are.
        addresses: of some images; those that the driver sees every node must see too.
        gpu: whether workers are to have GPUs.

    Raises:
        UserError: the stage's folder cannot be written.
    """
    # Like a part that is not finished: should this process be killed, it is deleted as the stage is completed.
    name, token = f".nodes-{uuid.uuid4().hex}.tmp", os.urandom(16)
    stage.write_bytes(name, token)
    try:
        yield NodeChecks(Probe(data_root, visible(addresses), stage, name, token), gpu)
    finally:
        with suppress(OSError):
            stage.fs.delete_file(f"{stage.path}/{name}")
