"""How a run stands, from its directory alone, as plain lines: to look at, and to paste into a ticket."""

import hashlib
import json
import platform
import socket
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import yaml

from psol_ray import __version__
from psol_ray.errors import UserError, abbreviate
from psol_ray.log import now
from psol_ray.report import stage_status as states
from psol_ray.report.stage_status import StageStatus
from psol_ray.tables.file_names import HISTORY_FILE, IMAGES_PER_PART, class_parts, numbered_part
from psol_ray.tables.run_dir import RunDir
from psol_ray.tables.schemas import CATALOG, TEST
from psol_ray.work.pace import QUIET_SECONDS, duration

__all__ = ["RunStatus"]

_ALWAYS = ("catalog", "boxes", "localizer", "classifier", "predictions", "scores")  # of a whole run
_NETWORKS = ("localizer", "classifier", "joint")
_COLUMNS = ("stage", "state", "parts", "images", "images/s", "left", "took", "disk", "fingerprint")
_LIBRARIES = ("ray", "torch", "pyarrow")
_LONGEST_CAUSE = 200


class RunStatus:
    """A run directory, looked at once.

    Raises:
        UserError: there is no run.
    """

    def __init__(self, run_dir: str) -> None:
        self._run_dir = RunDir(run_dir)
        found = StageStatus.read_all(self._run_dir)
        if all(stage.state == states.NOT_BEGUN for stage in found.values()) and not self._config_bytes:
            raise UserError(f"{self._run_dir.address}: found no run there, expected the run_dir of one; give another")
        self._stages = [s for name, s in found.items() if name in _ALWAYS or s.state != states.NOT_BEGUN]

    def lines(self) -> Iterator[str]:
        """All that there is to say."""
        yield f"run       {self._run_dir.address}"
        yield f"settings  {self._settings()}"
        yield f"looked    {now()} on {socket.gethostname()}: {_versions()}"
        yield ""
        yield from _aligned([_COLUMNS, *map(self._row, self._stages), self._last_row()])
        for stage in self._stages:
            # Each with its stage, so that a line that is found by a search says whose it is.
            details = [f"{stage.name}: {line}" for line in self._details(stage)]
            yield from ["", *details] if details else []

    @cached_property
    def _config_bytes(self) -> bytes | None:
        return self._run_dir.read_bytes("config.yaml")

    def _settings(self) -> str:
        if not self._config_bytes:
            return "none, for there is no config.yaml"
        digest = hashlib.sha256(self._config_bytes).hexdigest()[:16]
        try:
            data = yaml.safe_load(self._config_bytes)["data"]
            return f"config.yaml {digest}, data {data['root']} (layout {data['layout']})"
        except (yaml.YAMLError, ValueError, TypeError, KeyError):
            return f"config.yaml {digest}, which cannot be read"

    @cached_property
    def _catalog(self) -> pa.Table | None:
        try:
            return self._run_dir.stage("catalog").read(CATALOG, ["class_name", "split"])
        except UserError:
            return None

    def _parts(self, name: str) -> dict[str, int]:
        """Images of each part that a stage is to have; none where nobody knows yet."""
        if self._catalog is None:
            return {}
        if name in ("boxes", "maps", "heat"):
            images = self._catalog
            if name == "maps":
                images = images.filter(pc.field("split") == TEST)
            counts = Counter({r["values"]: r["counts"] for r in pc.value_counts(images["class_name"]).to_pylist()})
            names = class_parts(pc.unique(self._catalog["class_name"]).to_pylist())
            return {part: counts[class_name] for class_name, part in names.items()}
        if name == "predictions":
            total = pc.sum(pc.equal(self._catalog["split"], TEST)).as_py() or 0
            starts = range(0, total, IMAGES_PER_PART)
            return {numbered_part(i): min(IMAGES_PER_PART, total - start) for i, start in enumerate(starts)}
        return {}

    def _row(self, stage: StageStatus) -> Sequence[str]:
        parts, images = self._counts(stage)
        progress = stage.progress if stage.state == states.RUNNING else {}
        rate, left = _pace(progress)
        took = stage.summary.get("seconds")
        return (
            stage.name,
            stage.state,
            parts,
            images,
            rate,
            left,
            duration(took) if isinstance(took, int | float) else "",
            _size(stage.size) if stage.state != states.NOT_BEGUN else "",
            stage.claimed.fingerprint if stage.claimed else "",
        )

    def _counts(self, stage: StageStatus) -> tuple[str, str]:
        """Parts and images done of those there are, in words."""
        if stage.state in (states.NOT_BEGUN, states.UNCLAIMED):
            return "", ""
        wanted = self._parts(stage.name)
        total = stage.summary.get("images")
        if stage.state in (states.COMPLETE, states.NOT_WHOLE):
            return f"{len(wanted):,}" if wanted else "", f"{total:,}" if isinstance(total, int) else ""
        if wanted:
            missing = set(stage.stage.missing(wanted))
            done = sum(images for part, images in wanted.items() if part not in missing)
            done = max(done, _number(stage.progress.get("images")) if stage.state == states.RUNNING else 0)
            return f"{len(wanted) - len(missing):,}/{len(wanted):,}", f"{done:,}/{sum(wanted.values()):,}"
        if all(isinstance(stage.progress.get(name), int) for name in ("images", "total")):
            return "", f"{stage.progress['images']:,}/{stage.progress['total']:,}"
        return "", ""

    def _last_row(self) -> Sequence[str]:
        return ("all", *[""] * 6, _size(sum(stage.size for stage in self._stages)), "")

    def _details(self, stage: StageStatus) -> Iterator[str]:
        if stage.state == states.RUNNING:
            yield from _running(stage)
        elif stage.state == states.INTERRUPTED:
            yield stage.why_interrupted()
        elif stage.state == states.UNCLAIMED:
            yield "files that say nothing of what made them; `--overwrite` makes the stage anew"
        if stage.name in _NETWORKS and stage.state in (states.RUNNING, states.INTERRUPTED):
            yield from _curves(stage)
        if stage.state in (states.RUNNING, states.INTERRUPTED) and stage.progress.get("last_fault"):
            faults = _number(stage.progress.get("faults"))
            yield f"{faults} faults, the last: {_short(stage.progress['last_fault'])}"
        yield from stage.remarks()
        yield from _set_aside(stage)
        yield from _away(stage)
        if stage.claimed is not None and stage.claimed.version != __version__:
            yield f"made by psol_ray {stage.claimed.version}"


def _running(stage: StageStatus) -> Iterator[str]:
    heard = "" if stage.heard_s is None else f", heard of {duration(max(stage.heard_s, 0))} ago"
    yield f"running by {stage.holder}{heard}"
    progress = stage.progress
    quiet = progress.get("quiet_s")
    if isinstance(quiet, int | float) and quiet >= QUIET_SECONDS:
        yield f"nothing has been done for {duration(quiet)}"
    workers = progress.get("workers")
    if isinstance(workers, Mapping):
        there = ", ".join(f"{count} on {node}" for node, count in sorted(workers.items())) or "none"
        waiting, running = (_number(progress.get(name)) for name in ("parts_waiting", "parts_running"))
        yield f"workers: {there}; {running:,} jobs are worked on, {waiting:,} wait"
    if progress.get("note"):
        yield f"{progress.get('title', '')}: {progress['note']}"


def _curves(stage: StageStatus) -> Iterator[str]:
    """Where a training's curves end, and when it was last saved."""
    for line in reversed((stage.stage.read_bytes(HISTORY_FILE) or b"").splitlines()):
        try:
            row = json.loads(line)
            epochs = stage.claimed.config.get("epochs", "?") if stage.claimed else "?"
            scores = [f"{name} {row[name]:.3f}" for name in ("loss", "step_loss", "gt_known", "top1") if name in row]
            yield f"step {row['step']:.0f}, epoch {row['epoch']:.2f} of {epochs}: {', '.join(scores)}"
            return
        except (ValueError, TypeError, KeyError):  # cut short
            continue


def _set_aside(stage: StageStatus) -> Iterator[str]:
    for record in stage.set_aside:
        deaths = [death for death in record.get("deaths", []) if isinstance(death, Mapping)]
        last = deaths[-1] if deaths else {}
        suspects = record.get("suspects", {}).get("next_after_the_last_reported", [])
        guess = f"; suspects: {abbreviate(suspects)}" if suspects else ""
        yield (
            f"set aside: {record.get('part', '?')} ({_number(record.get('images')):,} images): {len(deaths)} workers"
            f" died of it, the last on {last.get('host', '?')} at {last.get('time', '?')}:"
            f" {_short(last.get('cause', '?'))}{guess}"
        )


def _away(stage: StageStatus) -> Iterator[str]:
    away = stage.left_out.get("away")
    by_reason: dict[str, list[str]] = {}
    for image_id, reason in (away if isinstance(away, Mapping) else {}).items():
        by_reason.setdefault(str(reason), []).append(image_id)
    for reason, image_ids in by_reason.items():
        yield f"left out: {len(image_ids):,} images that are away ({abbreviate(image_ids)}): {reason}"
    aside = stage.left_out.get("set_aside")
    if isinstance(aside, list) and aside:
        yield f"left out: {len(aside):,} images of parts that were set aside"


def _pace(progress: Mapping[str, Any]) -> tuple[str, str]:
    rate, images, total = (progress.get(name) for name in ("images_per_s", "images", "total"))
    if not isinstance(rate, int | float) or rate <= 0 or not isinstance(images, int) or not isinstance(total, int):
        return "", ""
    return f"{rate:,.1f}", duration(max(total - images, 0) / rate)


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _short(text: Any) -> str:
    line = " ".join(str(text).split())
    return line if len(line) <= _LONGEST_CAUSE else f"{line[:_LONGEST_CAUSE]} ..."


def _size(num_bytes: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if num_bytes < 1000:
            return f"{num_bytes:.0f} {unit}" if unit == "B" else f"{num_bytes:.1f} {unit}"
        num_bytes /= 1000
    return f"{num_bytes:.1f} TB"


def _versions() -> str:
    def of(library: str) -> str:
        try:
            return f"{library} {version(library)}"
        except PackageNotFoundError:
            return f"no {library}"

    mine = (f"psol_ray {__version__}", f"Python {platform.python_version()}", *map(of, _LIBRARIES))
    return ", ".join(mine)


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows as columns, the first two to the left, numbers to the right; what is empty everywhere takes no room."""
    used = [place for place, cells in enumerate(zip(*rows[1:], strict=True)) if any(cells) or place < 2]
    widths = {place: max(len(row[place]) for row in rows) for place in used}
    for row in rows:
        cells = [row[p].ljust(widths[p]) if p < 2 else row[p].rjust(widths[p]) for p in used]
        yield "  ".join(cells).rstrip()
