"""Findings of all machines as one table: a row a check, values that are equal put together."""

from collections.abc import Mapping, Sequence

from rich.table import Table

from psol_ray.errors import abbreviate
from psol_ray.preflight.findings import Finding, Verdict

__all__ = ["TITLES", "complaints", "findings_table"]

TITLES: Mapping[Verdict, str] = {
    "broken": "Will not work",
    "slow": "Will be slow",
    "odd": "Worth a look",
}
_STYLES = {"good": "", "odd": "yellow", "slow": "yellow", "broken": "bold red"}
_MARKS = {"good": "", "odd": "look", "slow": "slow", "broken": "fails"}
_VALUES_SHOWN = 4
_NAMES_SHOWN = 2

Findings = Mapping[str, Sequence[Finding]]
"""Of each machine, by its name."""


def findings_table(findings: Findings) -> Table:
    """A row for each check and each value that was found, however many machines have it."""
    rows: list[tuple[tuple[str, ...], str]] = []
    names = dict.fromkeys(finding.name for of_one in findings.values() for finding in of_one)
    for name in names:
        there = {machine: f for machine, of_one in findings.items() for f in of_one if f.name == name}
        groups = _grouped(there)
        for number, (value, verdict, machines) in enumerate(groups[:_VALUES_SHOWN]):
            # What is alike on all machines needs no word of where; the process of the command has fewer rows.
            is_everywhere = len(groups) == 1 and len(there) >= max(len(findings) - 1, 2)
            where = "" if is_everywhere or len(findings) == 1 else _where(machines, findings)
            rows.append(((name if not number else "", value, where, _MARKS[verdict]), _STYLES[verdict]))
        if len(groups) > _VALUES_SHOWN:
            rows.append((("", f"and {len(groups) - _VALUES_SHOWN} other values", "", ""), ""))
    # Of one machine that is well there is nothing to say of where, nor of what is wrong.
    used = [place for place in range(4) if any(cells[place] for cells, _ in rows)]
    table = Table(show_header=False)
    for cells, style in rows:
        table.add_row(*(cells[place] for place in used), style=style)
    return table


def _grouped(there: Mapping[str, Finding]) -> list[tuple[str, Verdict, list[str]]]:
    """Values with their verdicts and machines, the worst and then the commonest first; numbers of a verdict as one."""
    groups: dict[tuple[str, Verdict, bool], list[str]] = {}
    for machine, finding in there.items():
        value = "" if finding.amount is not None else finding.value
        groups.setdefault((value, finding.verdict, finding.amount is not None), []).append(machine)
    found = [
        (_range([there[machine] for machine in machines]) if is_number else value, verdict, machines)
        for (value, verdict, is_number), machines in groups.items()
    ]
    rank = list(_MARKS)
    return sorted(found, key=lambda group: (-rank.index(group[1]), -len(group[2])))


def _range(findings: Sequence[Finding]) -> str:
    """`12 to 40 MB/s`, or one number where they are the same as shown."""
    ends = [_number(end(f.amount or 0.0 for f in findings)) for end in (min, max)]
    return f"{' to '.join(dict.fromkeys(ends))} {findings[0].unit}"


def _number(amount: float) -> str:
    return f"{amount:,.0f}" if abs(amount) >= 10 else f"{amount:.1f}"


def _where(machines: Sequence[str], findings: Findings) -> str:
    if len(machines) == len(findings):
        return "all"
    return ", ".join(machines) if len(machines) <= _NAMES_SHOWN else f"{len(machines)} of {len(findings)} machines"


def complaints(findings: Findings, verdict: Verdict) -> list[str]:
    """What is wrong and what to do, a sentence each, with the machines that have it."""
    told: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for machine, of_one in findings.items():
        for finding in of_one:
            if finding.verdict == verdict:
                # Numbers differ from machine to machine; one sentence stands for all of them.
                key = (finding.name, "" if finding.amount is not None else finding.remedy)
                told.setdefault(key, []).append((machine, finding.remedy))
    return [f"{abbreviate([machine for machine, _ in of_one])}: {of_one[0][1]}" for of_one in told.values()]
