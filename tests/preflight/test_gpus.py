"""GPUs that a driver shows, by a library that answers as the driver does."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from psol_ray.preflight import gpus
from psol_ray.preflight.findings import Finding
from psol_ray.preflight.gpus import check_gpus, gpu_names

_DRIVER = """
#include <string.h>
int cuInit(unsigned flags) { return 0; }
int cuDeviceGetCount(int *count) { *count = 2; return 0; }
int cuDeviceGet(int *device, int index) { *device = index; return 0; }
int cuDeviceGetName(char *name, int length, int device) { strcpy(name, "NVIDIA L4"); return 0; }
int cuDeviceTotalMem_v2(unsigned long *bytes, int device) { *bytes = 24UL << 30; return 0; }
"""

pytestmark = pytest.mark.skipif(os.path.exists("/proc/driver/nvidia"), reason="has a driver")


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver of two GPUs, for the processes that are asked."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler to make a driver with")
    (tmp_path / "driver.c").write_text(_DRIVER)
    library = str(tmp_path / "libcuda.so.1")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, str(tmp_path / "driver.c")], check=True)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    monkeypatch.setattr(gpus, "_TORCH", "print('[\"13.0\", true]')")


def findings(lent: int | None) -> dict[str, Finding]:
    return {finding.name: finding for finding in check_gpus(lent)}


@pytest.mark.usefixtures("driver")
def test_what_a_driver_shows() -> None:
    assert gpu_names() == [("NVIDIA L4", 24 << 30)] * 2
    there = findings(2)
    assert there["GPUs"] == Finding("GPUs", "2 x NVIDIA L4, 24 GiB")
    assert there["torch on the GPU"] == Finding("torch on the GPU", "CUDA 13.0")
    # It has no video library, as in a container without that capability.
    assert there["JPEG engine"].verdict == "slow"
    assert "NVIDIA_DRIVER_CAPABILITIES=compute,utility,video" in there["JPEG engine"].remedy


@pytest.mark.usefixtures("driver")
def test_more_gpus_lent_than_there_are() -> None:
    finding = findings(8)["GPUs"]
    assert finding.verdict == "broken"
    assert "Ray lends 8 GPUs of it, and the driver shows 2; start Ray with --num-gpus 2" in finding.remedy


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize(
    ("answer", "words"), [('["13.0", false]', "too old"), ("[null, false]", "a build without CUDA"), ("x", "imported")]
)
def test_a_torch_that_cannot_use_them(answer: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "_TORCH", f"print({answer!r})")
    finding = findings(2)["torch on the GPU"]
    assert finding.verdict == "broken"
    assert words in finding.remedy


def test_gpus_without_a_driver_and_none_at_all() -> None:
    assert findings(1)["GPUs"].verdict == "broken"
    assert findings(0) == findings(None) == {"GPUs": Finding("GPUs", "none")}
