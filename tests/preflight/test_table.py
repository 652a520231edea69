"""A hundred machines in one table that is read at a glance."""

from collections.abc import Mapping, Sequence

from rich.console import Console

from psol_ray.preflight.findings import Finding
from psol_ray.preflight.table import complaints, findings_table


def show(findings: Mapping[str, Sequence[Finding]]) -> list[str]:
    console = Console(width=120, record=True, quiet=True)
    with console.capture() as capture:
        console.quiet = False
        console.print(findings_table(findings))
    return [line[1:-1] for line in capture.get().splitlines() if "│" in line]


def hundred() -> dict[str, list[Finding]]:
    machines = {f"node-{i}": [Finding("torch", "2.15.0"), Finding("rate", amount=10.0 + i)] for i in range(100)}
    machines["node-7"][0] = Finding("torch", "2.14.0", "broken", "torch is 2.14.0 there; install the same")
    for i in (8, 9, 10):
        machines[f"node-{i}"][1] = Finding("rate", "", "slow", f"{i} images a second; a faster mount", float(i))
    return machines


def test_equal_values_are_one_row_and_others_name_their_machines() -> None:
    first, second, third, fourth = (line.split("│") for line in show(hundred()))
    assert [cell.strip() for cell in first] == ["torch", "2.14.0", "node-7", "fails"]
    assert [cell.strip() for cell in second][1:3] == ["2.15.0", "99 of 100 machines"]
    assert [cell.strip() for cell in third] == ["rate", "8.0 to 10", "3 of 100 machines", "slow"]
    assert [cell.strip() for cell in fourth][1:3] == ["10 to 109", "97 of 100 machines"]


def test_what_all_have_needs_no_word_of_where() -> None:
    (line,) = show({"a": [Finding("torch", "2.15.0")], "b": [Finding("torch", "2.15.0")]})
    assert [cell.strip() for cell in line.split("│")] == ["torch", "2.15.0"]


def test_many_values_of_a_check_are_cut_short() -> None:
    lines = show({f"node-{i}": [Finding("GPUs", f"kind {i}")] for i in range(20)})
    assert len(lines) == 5
    assert "and 16 other values" in lines[-1]


def test_a_complaint_is_made_once_for_all_who_share_it() -> None:
    assert complaints(hundred(), "broken") == ["node-7: torch is 2.14.0 there; install the same"]
    assert complaints(hundred(), "slow") == ["node-8, node-9, node-10: 8 images a second; a faster mount"]
    alike = {f"node-{i}": [Finding("x", "no", "broken", "mend it")] for i in range(100)}
    assert complaints(alike, "broken") == ["node-0, node-1, node-2 and 97 more: mend it"]
