"""What a check has found on one machine, and what that means for a run."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from psol_ray.errors import first_line

__all__ = ["Finding", "Verdict", "found"]

Verdict = Literal["good", "odd", "slow", "broken"]
"""`broken` will not work, `slow` will work slowly, `odd` is worth a look."""


@dataclass(frozen=True)
class Finding:
    """What one check has found on one machine.

    Attributes:
        name: of the check, the row of the table.
        value: what was found, in words; empty where `amount` is a number.
        verdict: what it means.
        remedy: what is wrong and what to do, unless all is good.
        amount: a number that machines differ in, such as a rate; shown as a range.
        unit: of `amount`.
    """

    name: str
    value: str = ""
    verdict: Verdict = "good"
    remedy: str = ""
    amount: float | None = None
    unit: str = ""


def found(check: Callable[[], Iterable[Finding]], name: str) -> list[Finding]:
    """What a check finds; one that fails by itself has found that."""
    try:
        return list(check())
    except Exception as error:  # a machine may lack whatever a check relies on, and the other checks go on
        reason = f"{type(error).__name__}: {first_line(error, 120)}"
        return [Finding(name, "not known", "odd", f"could not be looked at ({reason}); look at it yourself")]
