"""What this machine has beside what is wanted of it."""

import resource
from collections.abc import Iterator
from pathlib import Path

from psol_ray.preflight.findings import Finding
from psol_ray.preflight.machine import check_cpus, check_disk, check_limits, check_memory


def one(findings: Iterator[Finding], name: str) -> Finding:
    (finding,) = (finding for finding in findings if finding.name == name)
    return finding


def test_cpus_that_ray_lends_and_nobody_has() -> None:
    assert one(check_cpus(None), "CPUs").verdict == one(check_cpus(1), "CPUs").verdict == "good"
    finding = one(check_cpus(100_000), "CPUs")
    assert finding.verdict == "slow"
    assert "Ray lends 100000 CPUs of it, and this process may use " in finding.remedy


def test_memory_for_workers() -> None:
    finding = one(check_memory(100_000), "memory free")
    assert finding.verdict == "broken"
    assert "100000 workers need about 300000" in finding.remedy
    assert finding.amount is not None


def test_room_on_a_disk_also_for_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    folder = str(tmp_path / "not" / "yet")
    assert one(check_disk("disk free", folder, 1.0), "disk free").verdict == "good"
    finding = one(check_disk("disk free", folder, 1e18), "disk free")
    assert finding.verdict == "broken"
    assert f"are free for {folder}, and about 1000000000.0 are needed; make room" in finding.remedy


def test_shared_memory_and_open_files() -> None:
    assert one(check_limits(None), "/dev/shm").verdict == "good"
    assert one(check_limits(1e18), "/dev/shm").verdict == "slow"
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (512, hard))
    try:
        finding = one(check_limits(None), "open files")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert finding.verdict == "odd"
    assert "only 512 files may be open" in finding.remedy
