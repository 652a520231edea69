"""What a stage's folder says of itself, whoever makes it, has made it, or has left it half made.

Everything is read as it is found: a file that is cut short, or that a crash has filled with zeros, says nothing.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow.fs as pafs

from psol_ray.errors import abbreviate
from psol_ray.stages import COMMANDS, STAGES
from psol_ray.tables.holder import LEASE_FILE, Holder
from psol_ray.tables.lease import BEAT_SECONDS, PROGRESS_FILE
from psol_ray.tables.provenance import Provenance
from psol_ray.tables.run_dir import RunDir, StageDir

__all__ = ["COMPLETE", "DAMAGED", "INTERRUPTED", "NOT_BEGUN", "NOT_WHOLE", "RUNNING", "UNCLAIMED", "StageStatus"]

NOT_BEGUN = "not begun"
RUNNING = "running"
INTERRUPTED = "interrupted"
COMPLETE = "complete"
NOT_WHOLE = "not whole"  # complete, but for what it was made without
DAMAGED = "damaged"  # it was complete, and files are gone
UNCLAIMED = "unclaimed"  # files, and nothing that says what made them

# A lease that was written within so many beats, by the clock of whoever keeps the file, is not watched.
_FRESH_BEATS = 4
_WATCHED_BEATS = 3


@dataclass(frozen=True)
class StageStatus:
    """A stage, looked at once.

    Attributes:
        stage: which.
        state: one of those above.
        claimed: what makes it, or has made it.
        success: what it was completed with.
        holder: the process that makes it now, or has left a lease behind.
        heard_s: seconds since the holder's last sign of life, as far as clocks agree.
        progress: how far its holder was when it last said so.
        left_out: images that it goes on without, and why; see `LeftOut`.
        set_aside: what is known of each part whose workers died.
        size: bytes of all its files.
        damage: files that it had when it was completed and has no more, or not whole.
        outdated: stages that it is made from and that are others by now.
    """

    stage: StageDir
    state: str
    claimed: Provenance | None = None
    success: Mapping[str, Any] = field(default_factory=dict)
    holder: Holder | None = None
    heard_s: float | None = None
    progress: Mapping[str, Any] = field(default_factory=dict)
    left_out: Mapping[str, Any] = field(default_factory=dict)
    set_aside: list[Mapping[str, Any]] = field(default_factory=list)
    size: int = 0
    damage: list[str] = field(default_factory=list)
    outdated: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The stage's."""
        return self.stage.name

    @property
    def summary(self) -> Mapping[str, Any]:
        """Counts that it was completed with."""
        found = self.success.get("summary")
        return found if isinstance(found, Mapping) else {}

    @classmethod
    def read_all(cls, run_dir: RunDir) -> dict[str, "StageStatus"]:
        """Look at every stage of a run, and how each stands to the others; see `read`."""
        found = {name: cls.read(run_dir.stage(name)) for name in STAGES}
        return {name: status._among(found) for name, status in found.items()}

    def _among(self, others: Mapping[str, "StageStatus"]) -> "StageStatus":
        if self.claimed is None:
            return self
        inputs = self.claimed.inputs.items()
        outdated = [name for name, given in inputs if name in others and not others[name]._is_of(given)]
        seen, boxes = replace(self, outdated=outdated), others["boxes"]
        tables = boxes.claimed.details.get("tables", {}) if boxes.claimed else {}
        if self.state != INTERRUPTED or tables.get(self.name) != self.claimed.fingerprint or boxes.success:
            return seen
        # Who makes it holds the lease of the boxes. Of that one's progress, which is the boxes', only how it ended.
        progress = {name: boxes.progress[name] for name in ("ended", "time") if name in boxes.progress}
        return replace(seen, state=boxes.state, holder=boxes.holder, heard_s=boxes.heard_s, progress=progress)

    def _is_of(self, given: str) -> bool:
        """Whether it is still what the inputs of another call `given`; what says nothing is taken to be."""
        if self.claimed is None:
            return True
        # Scores are also of the ground truth, which no fingerprint holds.
        truth, now = self.success.get("details", {}).get("truth"), self.claimed.fingerprint
        return given in (now, f"{now} {truth}")

    @classmethod
    def read(cls, stage: StageDir) -> "StageStatus":
        """Look at a stage; waits for half a minute where a holder on another machine gives no sign of life."""
        entries = {info.base_name: info for info in stage.entries()}
        if not entries:
            return cls(stage, NOT_BEGUN)
        success = _mapping(stage, "_SUCCESS")
        claimed = _provenance(stage, "_STARTED") or _provenance(stage, "_SUCCESS")
        progress, holder = _mapping(stage, PROGRESS_FILE), Holder.read(stage)
        heard_s = _age(entries[LEASE_FILE]) if holder and LEASE_FILE in entries else None
        damage = stage.damaged() if success else []
        if holder is not None and _lives(holder, stage, heard_s):
            state = RUNNING
        elif damage:
            state = DAMAGED
        elif success and "_EMPTYING" not in entries:
            state = NOT_WHOLE if cls(stage, "", success=success).summary.get("gaps") else COMPLETE
        elif entries.keys() <= {LEASE_FILE, PROGRESS_FILE}:
            state = NOT_BEGUN
        else:
            state = INTERRUPTED if claimed else UNCLAIMED
        records = _json(stage, "set_aside.json")
        return cls(
            stage,
            state,
            claimed,
            success,
            holder,
            heard_s,
            # Of the process that makes it now, an earlier one's is old news.
            {} if state == RUNNING and holder and progress.get("token") != holder.token else progress,
            _mapping(stage, "left_out.json"),
            [record for record in records if isinstance(record, Mapping)] if isinstance(records, list) else [],
            _size(stage),
            damage,
        )

    def why_interrupted(self) -> str:
        """Of what it ended, as far as anybody has said."""
        ended, last = (self.progress.get(name) for name in ("ended", "time"))
        if ended and ended != "interrupted":
            return f"ended {last}: {ended}"
        then = "" if self.outdated else "; the same command goes on from here"
        if ended:
            return f"interrupted {last}{then}"
        heard = f"; last heard of {last}" if last else ""
        return f"ended without a word, killed perhaps{heard}{then}"

    def remarks(self) -> list[str]:
        """Sentences on what it lacks."""
        gaps = [str(gap) for gap in self.summary.get("gaps", [])]
        command = STAGES[self.name].command
        if self.outdated and self.claimed:
            anew = self.claimed.details.get("command", command)
            anew += " --overwrite" if COMMANDS[anew.split()[0]].overwrites else ""
            gaps.append(f"made from another state of {' and '.join(self.outdated)}; `psol {anew}` makes it anew")
        if self.damage:
            gaps.append(f"{abbreviate(self.damage)} missing or of another size; `psol {command}` makes them again")
        return gaps


def _json(stage: StageDir, name: str) -> Any:
    try:
        return json.loads(stage.read_bytes(name) or b"null")
    except ValueError:  # not of UTF-8, or no JSON
        return None


def _mapping(stage: StageDir, name: str) -> Mapping[str, Any]:
    found = _json(stage, name)
    return found if isinstance(found, Mapping) else {}


def _provenance(stage: StageDir, name: str) -> Provenance | None:
    found = _mapping(stage, name)
    return Provenance.from_json(json.dumps(found)) if found else None


def _age(info: pafs.FileInfo) -> float | None:
    return None if info.mtime_ns is None else time.time() - info.mtime_ns / 1e9


def _lives(holder: Holder, stage: StageDir, heard_s: float | None) -> bool:
    if not holder.is_here() and heard_s is not None and abs(heard_s) < _FRESH_BEATS * BEAT_SECONDS:
        return True
    return holder.lives(stage, BEAT_SECONDS, _WATCHED_BEATS)


def _size(stage: StageDir) -> int:
    selector = pafs.FileSelector(stage.path, recursive=True, allow_not_found=True)
    return sum(info.size or 0 for info in stage.fs.get_file_info(selector))
