"""Versions of what a run is made of, and whether all machines have the same."""

import hashlib
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

from psol_ray import __file__ as package_file
from psol_ray import __version__
from psol_ray.preflight.findings import Finding

__all__ = ["agree", "check_software"]

_PYTHON, _CODE, _DECODER = "Python", "psol_ray", "JPEG decoder"
# What travels between machines by pickle, or joins their processes, or makes the networks.
_ALIKE = ("ray", "torch", "torchvision", "timm", "numpy")
_OTHERS = ("pyarrow", "pillow")


def check_software() -> Iterator[Finding]:
    """Versions of Python, of packages and of this one, and what decodes JPEGs here."""
    yield Finding(_PYTHON, platform.python_version())
    for name in (*_ALIKE, *_OTHERS):
        try:
            yield Finding(name, version(name))
        except PackageNotFoundError:
            yield Finding(name, "none", "broken", f"{name} is not installed there; run `pip install psol-ray` there")
    yield Finding(_CODE, f"{__version__} ({_hash_sources()})")
    yield _check_decoder()


def _hash_sources() -> str:
    """8 hex digits of all sources of this package: a version alone does not tell two checkouts apart."""
    root, digest = Path(package_file).parent, hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:8]


def _check_decoder() -> Finding:
    # Late, because it loads torch, whose lack is a finding of its own.
    from psol_ray.images.dali_pipeline import dali_available

    if dali_available():
        names = ((found.metadata["Name"] or "", found.version) for found in distributions())
        number = next((number for name, number in names if "-dali-cuda" in name.lower()), "")
        return Finding(_DECODER, f"DALI {number}".strip())
    remedy = "DALI is not installed there, and Pillow decodes on CPUs instead; run `pip install nvidia-dali-cuda130`"
    return Finding(_DECODER, "Pillow", "slow", remedy)


def agree(findings: Mapping[str, Sequence[Finding]], reference: str) -> dict[str, list[Finding]]:
    """Findings of all machines, in which those versions are told that are not the ones of `reference`.

    Args:
        findings: of each machine, by its name.
        reference: the machine that the others are compared with, which is the driver's.
    """
    expected = {finding.name: finding.value for finding in findings[reference]}
    return {
        machine: [_compared(finding, expected.get(finding.name, finding.value)) for finding in all_of_it]
        for machine, all_of_it in findings.items()
    }


def _compared(finding: Finding, expected: str) -> Finding:
    if finding.value == expected or finding.verdict == "broken":
        return finding
    remedy = f"{finding.name} is {finding.value} there and {expected} where the command runs; install the same"
    if finding.name == _PYTHON:
        is_same = finding.value.rpartition(".")[0] == expected.rpartition(".")[0]
        return replace(finding, verdict="odd" if is_same else "broken", remedy=remedy)
    if finding.name in (*_ALIKE, _CODE):
        return replace(finding, verdict="broken", remedy=remedy)
    if finding.name in _OTHERS or (finding.name == _DECODER and finding.verdict == "good"):
        return replace(finding, verdict="odd", remedy=remedy)
    return finding
