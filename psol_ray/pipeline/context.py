"""What every command needs: the config, the run directory, the cluster once somebody needs it, and a voice."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import yaml
from rich.console import Console

from psol_ray.config import Config
from psol_ray.errors import UserError
from psol_ray.tables import CATALOG, Provenance, RunDir, StageDir

if TYPE_CHECKING:
    from psol_ray.models.backbones import Backbone

__all__ = ["Context", "Work", "backbone_of"]


@dataclass
class Work:
    """A stage that is being made; what is put in `summary` is kept in its `_SUCCESS` and told to the user."""

    stage: StageDir
    made_by: Provenance
    summary: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Context:
    """One invocation of a command."""

    config: Config
    overwrite: bool = False
    console: Console = field(default_factory=Console)

    @property
    def run_dir(self) -> RunDir:
        return RunDir(self.config.run_dir)

    def stage(self, name: str) -> StageDir:
        return self.run_dir.stage(name)

    def catalog(self) -> pa.Table:
        """The catalog of this run."""
        return self.stage("catalog").read(CATALOG)

    @property
    def data_root(self) -> str:
        """Absolute, because workers need not share the driver's working directory."""
        root = os.path.abspath(self.config.data.root)
        if not os.path.isdir(root):
            raise UserError(f"data.root: no folder {root}; expected the folder that `psol index` read")
        return root

    @contextmanager
    def making(self, made_by: Provenance) -> Iterator[Work | None]:
        """Claim a stage for the block, and complete it after; yields None where nothing is left to do."""
        stage = self.stage(made_by.stage)
        if stage.begin(made_by, overwrite=self.overwrite):
            self.console.print(
                f"[bold]{made_by.stage}[/]: complete already, {describe(stage.summary())}", soft_wrap=True
            )
            yield None
            return
        self.run_dir.write_text("config.yaml", yaml.safe_dump(asdict(self.config), sort_keys=False))
        started = time.monotonic()
        work = Work(stage, made_by)
        yield work
        work.summary["seconds"] = round(time.monotonic() - started, 1)
        stage.complete(made_by, work.summary)
        self._tell(made_by.stage, describe(work.summary))

    def _tell(self, stage: str, words: str) -> None:
        self.console.print(f"[bold]{stage}[/]: {words}", soft_wrap=True)


def describe(summary: dict[str, Any]) -> str:
    """A stage's summary in words; a number that is not whole is a fraction, but for seconds."""
    return ", ".join(_words(name.replace("_", " "), value) for name, value in summary.items())


def _words(name: str, value: float) -> str:
    if name == "seconds":
        return f"{value} s"
    return f"{name} {value:.1%}" if isinstance(value, float) else f"{value:,} {name}"


def backbone_of(section: str, name: str) -> Backbone:
    """The backbone that a section names.

    Raises:
        UserError: it is unknown; the message starts with the field's path.
    """
    # Late: commands that need no backbone do without the seconds that torch takes to import.
    from psol_ray.models.backbones import find_backbone

    try:
        return find_backbone(name)
    except UserError as error:
        raise UserError(f"{section}.backbone: {error}") from None
