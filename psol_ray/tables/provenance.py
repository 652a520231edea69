"""What made a table: its stage's resolved config, what it was made from, and a fingerprint of both."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from psol_ray import __version__

__all__ = ["Provenance"]


@dataclass(frozen=True)
class Provenance:
    """What made a table: the settings it depends on, hashes of its weights, and the fingerprints of its inputs.

    `config` must hold only what changes the result; how fast it is made does not belong here. `details` are what later
    stages and people want to know of it, such as who drew the boxes; they are no part of the fingerprint.
    """

    stage: str
    config: Mapping[str, Any]
    inputs: Mapping[str, str]
    version: str = __version__
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """16 hex digits that are equal for equal stage, config and inputs."""
        content = json.dumps([self.stage, self.config, self.inputs], sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def to_json(self, **extra: Any) -> bytes:
        """As kept in `_SUCCESS` and in Parquet metadata."""
        fields: dict[str, Any] = {"stage": self.stage, "fingerprint": self.fingerprint, "version": self.version}
        fields |= {"config": self.config, "inputs": self.inputs, "details": self.details}
        return json.dumps({**fields, **extra}, indent=1).encode()

    @classmethod
    def from_json(cls, text: str) -> "Provenance | None":
        """Inverse of `to_json`; None of what it did not write, or what a machine that crashed has left of that."""
        try:
            found = json.loads(text)
        except ValueError:
            return None
        if not isinstance(found, dict):
            return None
        return cls(
            found.get("stage", "?"),
            found.get("config", {}),
            found.get("inputs", {}),
            found.get("version", "?"),
            found.get("details", {}),
        )

    def explain_difference(self, found: "Provenance") -> str:
        """One sentence that names both fingerprints and the settings that differ."""
        changes = _changes(found.config, self.config) + _changes(found.inputs, self.inputs)
        return (
            f"made by another configuration, found {found.fingerprint}, expected {self.fingerprint}"
            f" ({'; '.join(changes) or 'another stage'}); use another run_dir, or --overwrite to make it anew"
        )


def _changes(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    # As JSON, which is what the fingerprint sees: a tuple that was written comes back as a list.
    there, now = ({key: json.dumps(value, sort_keys=True) for key, value in m.items()} for m in (found, wanted))
    return [
        f"{key}: {there.get(key, 'nothing')} there, {now.get(key, 'nothing')} now"
        for key in sorted(there.keys() | now.keys())
        if there.get(key) != now.get(key)
    ]
