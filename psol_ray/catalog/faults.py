"""Single things in annotations that cannot be right: left out, counted by kind, and told with the first names."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from psol_ray.errors import abbreviate

__all__ = ["Faults"]

_SHOWN = 3
# As for boxes (`odd_boxes`): what is rarer in files of a hundred thousand lines is nobody's work to mend.
_MOST = 0.01


@dataclass
class Faults:
    """What is wrong in some files, a kind a sentence."""

    _counts: dict[tuple[str, str], int] = field(default_factory=dict)
    _names: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    _totals: dict[str, int] = field(default_factory=dict)

    def add(self, source: object, kind: str, names: Collection[str] | Iterator[str], count: int | None = None) -> None:
        """Take in some of a kind.

        Args:
            source: the file or folder that they are in.
            kind: in the words of a count: `annotations of no category`.
            names: of them, or of some of them.
            count: how many there are, where these are not all.
        """
        shown: Iterable[str] = names
        count = len(names) if count is None and isinstance(names, Collection) else count
        if not count:
            return
        key = (str(source), kind)
        self._counts[key] = self._counts.get(key, 0) + count
        kept = self._names.setdefault(key, [])
        kept.extend(islice(shown, _SHOWN - len(kept)))

    def of(self, source: object, total: int) -> None:
        """Say how many images, rows or files there are in `source`, of which the faults are some."""
        self._totals[str(source)] = total

    def told(self) -> dict[str, Any]:
        """The fields `remarks` and `gaps` of a listing: few are remarked on, more are a gap."""
        remarks, gaps = [], []
        for (source, kind), count in self._counts.items():
            names = abbreviate([*self._names[source, kind], *[""] * (count - len(self._names[source, kind]))], _SHOWN)
            words = f"{source}: left out {count:,} {kind} ({names})"
            if count <= _MOST * self._totals.get(source, 0):
                remarks.append(words)
            else:
                gaps.append(f"catalog: {words}; mend them, and run `psol index --overwrite`")
        return {"remarks": remarks, "gaps": gaps}
