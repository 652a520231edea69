"""What every command is given: the configuration, the run directory, an executor once one is needed, and a console."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import pyarrow as pa
import yaml
from rich.console import Console
from rich.markup import escape

from psol_ray.catalog.source import find_other_samples
from psol_ray.config import Config
from psol_ray.errors import UserError, abbreviate, without_secrets
from psol_ray.log import about, say
from psol_ray.storage.addresses import is_uri
from psol_ray.tables import CATALOG, Provenance, RunDir, StageDir
from psol_ray.tables.files import absolute
from psol_ray.tables.lease import hold
from psol_ray.tables.schemas import PLACES
from psol_ray.work import standing
from psol_ray.work.executor import Executor

__all__ = ["IN_PROCESS", "Context", "Work"]

IN_PROCESS = "in-process"
"""The `cluster.address` that means no cluster at all."""


@dataclass
class Work:
    """A stage that is being made; what is put in `summary` is kept in its `_SUCCESS` and told to the user."""

    stage: StageDir
    made_by: Provenance
    summary: dict[str, Any] = field(default_factory=dict)
    gaps: list[str] = field(default_factory=list)
    """In what it is not whole, a sentence each."""
    rate: dict[str, Any] = field(default_factory=dict)
    """How fast it was made, for `psol plan`: images, seconds of all workers added up, and what each worked on."""

    @contextmanager
    def timed(self, executor: Executor, num_images: int) -> Iterator[None]:
        """Note what the block, in which `executor` works on so many images, takes of its workers."""
        before = executor.worker_seconds
        yield
        seconds = round(executor.worker_seconds - before, 3)
        self.rate |= {"images": num_images, "worker_seconds": seconds, "device": executor.device}


@dataclass(frozen=True)
class Context:
    """One invocation of a command."""

    config: Config
    overwrite: bool = False
    skip: bool = False
    """Whether to go on without parts that were set aside."""
    console: Console = field(default_factory=Console)
    gaps: list[str] = field(default_factory=list)
    """What is done, but not whole, a sentence each: the command tells them, and ends with exit code 3."""
    emptied: set[str] = field(default_factory=set)
    """Stages that `overwrite` has emptied so far: without it, the same command goes on with these."""

    @property
    def run_dir(self) -> RunDir:
        """Where the results are."""
        return RunDir(self.config.run_dir)

    def stage(self, name: str) -> StageDir:
        """The folder of a stage."""
        return self.run_dir.stage(name)

    def catalog(self) -> pa.Table:
        """The catalog of this run, with `PLACES` where its images lie in shards."""
        stage = self.stage("catalog")
        in_shards = stage.require().details.get("places")
        return stage.read(pa.schema([*CATALOG, *PLACES]) if in_shards else CATALOG)

    @property
    def layout(self) -> str:
        """The layout of the data; where it is to be recognised, that of the catalog, or `auto` where there is none."""
        given: str = self.config.data.layout
        if given != "auto":
            return given
        made_by = self.stage("catalog").made_by()
        return given if made_by is None else str(made_by.config.get("layout", given))

    @property
    def data_root(self) -> str:
        """Absolute, because workers need not share the driver's working directory.

        Raises:
            UserError: it is not there, or its images are not those that the catalog was made from.
        """
        data, made_by = self.config.data, self.stage("catalog").made_by()
        root = absolute(data.root)
        if not is_uri(root) and not os.path.isdir(root):
            raise UserError(f"data.root: no folder {root}; expected the folder that `psol index` read")
        details = {} if made_by is None else made_by.details
        if len(others := find_other_samples(root, details)) > data.max_unreadable * len(details.get("samples", {})):
            raise UserError(
                f"data.root {without_secrets(root)}: found other images than those that the catalog was made from"
                f" ({abbreviate(others)}); set data.root to the folder that `psol index` read, or run it again, which"
                " says what has changed"
            )
        return root

    @cached_property
    def executor(self) -> Executor:
        """Runs workers: on a Ray cluster, or in this process."""
        # Late: Ray takes seconds to import, and commands that find everything complete do not need it.
        if self.config.cluster.address == IN_PROCESS:
            from psol_ray.in_process import InProcess

            return InProcess()
        from psol_ray.distributed.executor import RayExecutor

        return RayExecutor(self.config.cluster)

    def fingerprints(self, *stages: str) -> dict[str, str]:
        """Those of complete stages, which another is made from.

        Raises:
            UserError: one is not complete.
        """
        return {name: self.stage(name).require().fingerprint for name in stages}

    def is_complete(self, made_by: Provenance) -> bool:
        """Whether the stage is complete as wanted, and may stay; prints it if so."""
        stage = self.stage(made_by.stage)
        if self.overwrite or not stage.is_complete(made_by):
            return False
        summary = stage.summary()
        self.gaps.extend(summary.pop("gaps", []))
        summary.pop("rate", None)
        self._tell(made_by.stage, f"complete already, {describe(summary)}")
        return True

    @contextmanager
    def making(self, made_by: Provenance) -> Iterator[Work]:
        """Claim a stage for the block, and complete it after.

        Raises:
            UserError: another configuration has claimed it, and `--overwrite` is not given; or another run is making
                it now.
        """
        stage = self.stage(made_by.stage)
        standing.clear()
        with about(run=self.run_dir.name, stage=stage.name), hold(stage, standing.facts) as lease:
            if damaged := stage.damaged():
                say(f"{stage.address}: made again: {abbreviate(damaged)}, missing or of another size")
            if stage.begin(made_by, overwrite=self.overwrite):
                raise UserError(f"{stage.address}: has just been completed by another run; run the same command again")
            if self.overwrite:
                self.emptied.add(stage.name)
            layout = made_by.config["layout"] if made_by.stage == "catalog" else self.layout
            self.run_dir.write_text("config.yaml", _to_yaml(self.config, layout))
            started = time.monotonic()
            work = Work(stage, made_by)
            yield work
            work.summary["seconds"] = round(time.monotonic() - started, 1)
            lease.check()
            kept = {"gaps": work.gaps, "rate": work.rate}
            stage.complete(work.made_by, work.summary | {name: value for name, value in kept.items() if value})
        self.gaps.extend(work.gaps)
        self._tell(made_by.stage, describe(work.summary))

    def _tell(self, stage: str, words: str) -> None:
        self.console.print(f"[bold]{stage}[/]: {escape(words)}", soft_wrap=True)


def _to_yaml(config: Config, layout: str) -> str:
    """The configuration as it can be given again, in any folder; credentials are left to the environment."""
    data = config.data
    metadata = data.metadata and absolute(data.metadata)
    run_dir = config.run_dir if "://" in config.run_dir else absolute(config.run_dir)
    resolved = replace(
        config, run_dir=run_dir, data=replace(data, root=absolute(data.root), metadata=metadata, layout=layout)
    )
    return yaml.safe_dump(_as_given(asdict(resolved)), sort_keys=False)


def _as_given(value: Any) -> Any:
    """Settings that mean the same when they are read, dollars and all; those that are URIs without credentials."""
    if isinstance(value, dict):
        return {name: _as_given(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_given(item) for item in value]
    if not isinstance(value, str):
        return value
    return (without_secrets(value) if "://" in value else value).replace("$", "$$")


def describe(summary: dict[str, Any]) -> str:
    """A stage's summary in words: counts, fractions as percentages, seconds."""
    return ", ".join(_words(name.replace("_", " "), value) for name, value in summary.items())


def _words(name: str, value: float) -> str:
    if name == "seconds":
        return f"{value} s"
    return f"{name} {value:.1%}" if name in _FRACTIONS else f"{value:,} {name}"


_FRACTIONS = ("gt known", "top1")
