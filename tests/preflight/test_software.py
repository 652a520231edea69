"""Which differences between machines stop a run."""

import platform
from dataclasses import replace
from importlib.metadata import version

import pytest

from psol_ray.preflight.findings import Finding, found
from psol_ray.preflight.software import agree, check_software

HERE = [Finding("Python", "3.11.7"), Finding("torch", "2.15.0"), Finding("pyarrow", "26.0.1"), Finding("CPUs", "8")]


def test_versions_are_those_of_this_environment() -> None:
    findings = {finding.name: finding for finding in check_software()}
    assert findings["Python"].value == platform.python_version()
    assert findings["torch"].value == version("torch")
    assert findings["psol_ray"].value == next(f.value for f in check_software() if f.name == "psol_ray")
    assert {finding.verdict for finding in findings.values()} == {"good"}


@pytest.mark.parametrize(
    ("name", "value", "verdict"),
    [
        ("Python", "3.12.1", "broken"),
        ("Python", "3.11.9", "odd"),
        ("torch", "2.14.0", "broken"),
        ("pyarrow", "25.0.0", "odd"),
        ("CPUs", "16", "good"),
        ("torch", "2.15.0", "good"),
    ],
)
def test_another_value_than_the_drivers(name: str, value: str, verdict: str) -> None:
    there = [replace(finding, value=value) if finding.name == name else finding for finding in HERE]
    compared = agree({"this process": HERE, "node": there}, "this process")
    assert compared["this process"] == HERE
    (finding,) = (finding for finding in compared["node"] if finding.name == name)
    assert finding.verdict == verdict
    assert (f"{name} is {value} there and" in finding.remedy) is (verdict != "good")


def test_a_check_that_fails_is_a_finding_and_ends_no_other() -> None:
    (finding,) = found(lambda: [Finding("x", str(1 / 0))], "x")
    assert finding.verdict == "odd"
    assert "ZeroDivisionError" in finding.remedy
