"""The images that a stage goes on without: their files are away wherever they were tried, or their part was set aside.

What it goes on without is written down before it does, so that a run that is interrupted and goes on knows it, too.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from psol_ray.errors import ImagesAway, UserError, abbreviate
from psol_ray.stages import STAGES
from psol_ray.tables import StageDir
from psol_ray.work.jobs import Job

__all__ = ["LeftOut"]

_FILE = "left_out.json"
# Parts whose workers died, when, where and of what, and which images may be the cause.
_SET_ASIDE_FILE = "set_aside.json"


@dataclass
class LeftOut:
    """Decides whether a stage goes on without images, and keeps which.

    Attributes:
        stage: in whose folder that is written; None writes nothing.
        total: images of the stage.
        max_share: of these, how many may be away before the stage stops.
        skip: whether it goes on without parts that were set aside.
        away: why each image cannot be opened, by its id.
        set_aside: images of parts that were set aside, which are left out with `skip` alone.
    """

    stage: StageDir | None = None
    total: int = 0
    max_share: float = 0.0
    skip: bool = False
    away: dict[str, str] = field(default_factory=dict)
    set_aside: set[str] = field(default_factory=set)
    # What earlier runs have written down, for the next one: this one may end before it has looked again.
    _earlier_away: Mapping[str, str] = field(default_factory=dict)
    _earlier_set_aside: Collection[str] = ()
    _records: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def resume(
        cls, stage: StageDir, parts: Mapping[str, pa.Table], missing: Collection[str], max_share: float, *, skip: bool
    ) -> tuple["LeftOut", list[str]]:
        """Go on with what an earlier run has left out, which is tried again: its images may be back.

        Args:
            stage: not complete yet.
            parts: the images of each of its parts, by name.
            missing: parts that are not there yet.
            max_share: see above.
            skip: see above; without, parts that were set aside are tried again.

        Returns:
            that, and which parts are to be made.
        """
        found = json.loads(stage.read_text(_FILE) or "{}")
        away, aside = found.get("away", {}), found.get("set_aside", [])
        total = sum(map(len, parts.values()))
        left_out = cls(stage, total, max_share, skip, _earlier_away=away, _earlier_set_aside=aside)
        records = json.loads(stage.read_text(_SET_ASIDE_FILE) or "[]")
        left_out._records = {record["job"]: record for record in records if "job" in record}
        again = {*away, *(() if skip else aside)}
        todo = [
            name
            for name, images in parts.items()
            if name in missing or (again and not again.isdisjoint(images.column("image_id").to_pylist()))
        ]
        if skip:
            # At once, and not after three more deaths.
            left_out.set_aside = set(aside)
        return left_out, todo

    def of(self, images: pa.Table) -> list[str]:
        """Which of these images are not to be opened."""
        aside = self.set_aside if self.skip else set()
        if not self.away and not aside:
            return []
        return [name for name in images.column("image_id").to_pylist() if name in self.away or name in aside]

    def add_away(self, error: ImagesAway, hosts: Collection[str] = ()) -> None:
        """Go on without images that are away.

        Args:
            error: their ids.
            hosts: the machines on which they were tried, where that is not only this one.

        Raises:
            UserError: they, and those that are away already, are more than may be.
        """
        where = f" on {abbreviate(sorted(hosts))}" if hosts else ""
        self.away |= dict.fromkeys(error.paths, f"{error.reason}{where}")
        if len(self.away) > self.max_share * self.total:
            raise UserError(
                f"{self._name}: {len(self.away):,} of {self.total:,} images cannot be opened{where}"
                f" ({abbreviate(self.away)}: {error.reason}), more than data.max_unreadable ({self.max_share:g})"
                " allows; mount their folder there or put them back, and the same command goes on from here"
            )
        self._write()

    def add_set_aside(self, job: Job, record: Mapping[str, Any]) -> bool:
        """Write down that a job was set aside, and why; returns whether to do it with none of its images opened.

        Args:
            job: which.
            record: what is known of its workers' deaths.
        """
        self._records[job.name] = {"job": job.name, **record}
        if self.stage is not None:
            self.stage.write_bytes(_SET_ASIDE_FILE, json.dumps(list(self._records.values()), indent=1).encode())
        image_ids = job.images.column("image_id").to_pylist()
        is_new = not self.set_aside.issuperset(image_ids)
        self.set_aside.update(image_ids)
        self._write()
        return self.skip and is_new

    def _write(self) -> None:
        if self.stage is not None:
            aside = self.set_aside.union(self._earlier_set_aside)
            content = {"away": {**self._earlier_away, **self.away}, "set_aside": sorted(aside)}
            self.stage.write_bytes(_FILE, json.dumps(content, indent=1).encode())

    @property
    def set_aside_file(self) -> str:
        """Where it is written why parts were set aside."""
        return "Ray's log" if self.stage is None else f"{self.stage.path}/{_SET_ASIDE_FILE}"

    @property
    def _name(self) -> str:
        return "images" if self.stage is None else self.stage.name

    def gaps(self, missing: Collection[str]) -> list[str]:
        """A sentence for each reason why rows of a complete stage say nothing.

        Args:
            missing: images of these rows; of those that were left out, others may have been found later.
        """
        assert self.stage is not None, "only a stage has rows"
        anew = f"run `psol {STAGES[self.stage.name].command} --overwrite`"
        away = [image_id for image_id in missing if image_id in self.away]
        aside = [image_id for image_id in missing if image_id in self.set_aside]
        gaps = []
        if away:
            gaps.append(
                f"{self.stage.name}: {len(away):,} of {self.total:,} images could not be opened"
                f" ({abbreviate(away)}: {self.away[away[0]]}); put them back and {anew}"
            )
        if aside:
            gaps.append(
                f"{self.stage.name}: {len(aside):,} of {self.total:,} images are of parts that were set aside because"
                f" their workers died ({abbreviate(aside)}); {self.set_aside_file} has the causes, mend"
                f" them and {anew}"
            )
        return gaps
