"""deploy/slurm.sh on two machines of a stand-in for Slurm: real Ray, real commands, real signals."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from synthetic.configs import write_config
from synthetic.images import write_images

from psol_ray.cli import main
from psol_ray.tables import BOXES, RunDir

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "deploy/slurm.sh"
# The stand-in's machines are this one: they have its processes, and folders and ports that it must not share.
_JOB = 7_000_000 + os.getpid() % 1_000_000


@dataclass
class Allocation:
    """Machines of one CPU each, and what was called on them."""

    folder: Path
    environment: dict[str, str]
    jobs: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *command: str, machines: int = 2, **variables: str) -> subprocess.Popen[str]:
        """Run the script as `sbatch` does: a copy, in the folder from which it was submitted."""
        copy = self.folder / "slurm_script"
        copy.write_text(SCRIPT.read_text())
        environment = {**self.environment, "SLURM_JOB_NUM_NODES": str(machines), **variables}
        job = subprocess.Popen(
            ["bash", str(copy), *command],
            env=environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.jobs.append(job)
        return job

    def config(self) -> str:
        """A small data set, and settings that leave the cluster to the command line."""
        root = write_images(self.folder / "images", ["red", "blue"], train=4, val=2)
        return str(write_config(self.folder, root, cluster={}))

    def calls(self) -> str:
        log = self.folder / "scontrol.log"
        return log.read_text() if log.exists() else ""

    def processes(self) -> list[int]:
        """Those of the job's Ray that live."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):  # it has ended
                if f"/tmp/psol-{_JOB}/".encode() in path.read_bytes():
                    found.append(int(path.parent.name))
        return found


@pytest.fixture
def slurm(tmp_path: Path) -> Iterator[Allocation]:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, command in {
        "srun": f'exec {sys.executable} {ROOT / "tests/deploy/stand_in_srun.py"} "$@"',
        "scontrol": f'echo "$@" >> {tmp_path / "scontrol.log"}',
        # The script looks for .venv where the project is.
        "python": f'exec {sys.executable} "$@"',
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{command}\n")
        (programs / name).chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "SLURM_SUBMIT_DIR": str(ROOT),
        "SLURM_JOB_ID": str(_JOB),
        "SLURM_CPUS_ON_NODE": "1",
    }
    # What another test has set for a Ray of its own.
    for name in ("RAY_ADDRESS", "RAY_AUTH_TOKEN", "RAY_AUTH_MODE", "SLURM_GPUS_ON_NODE"):
        environment.pop(name, None)
    allocation = Allocation(tmp_path, environment)
    yield allocation
    for job in allocation.jobs:
        job.terminate()  # of a test that failed; it ends its machines
        job.wait(60)
    for process in allocation.processes():
        os.kill(process, signal.SIGKILL)
    subprocess.run(["rm", "-rf", f"/tmp/psol-{_JOB}"], check=True)


@pytest.mark.slow
def test_a_command_has_all_machines_and_leaves_none_behind(slurm: Allocation) -> None:
    config = slurm.config()
    assert main(["index", "--config", config, "--cluster.address", "in-process"]) == 0
    # Each machine has a CPU, and psol refuses more workers than there are.
    job = slurm.start("boxes", "--config", config, "--cluster.workers", "2")
    output, _ = job.communicate(timeout=240)
    assert job.returncode == 0, output
    assert "2 of 2 machines have joined Ray" in output
    assert len(RunDir(str(slurm.folder / "run")).stage("boxes").read(BOXES)) == 12
    assert slurm.processes() == []
    assert slurm.calls() == ""


@pytest.mark.slow
def test_the_commands_exit_code_is_the_jobs(slurm: Allocation) -> None:
    job = slurm.start("boxes", "--config", slurm.config(), "--boxes.input_siz", "3", machines=1)
    output, _ = job.communicate(timeout=240)
    assert job.returncode == 2, output
    assert "input_siz" in output
    assert slurm.processes() == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "is_requeued"),
    [pytest.param(signal.SIGUSR1, True, id="time is up"), pytest.param(signal.SIGTERM, False, id="cancelled")],
)
def test_a_signal_ends_the_run_so_that_it_can_go_on(slurm: Allocation, number: int, is_requeued: bool) -> None:
    config = slurm.config()
    assert main(["index", "--config", config, "--cluster.address", "in-process"]) == 0
    job = slurm.start("train", "classifier", "--config", config, "--classifier.epochs", "100000", machines=1)
    started = slurm.folder / "run/classifier/_STARTED"
    for _ in range(600):
        if started.exists() or job.poll() is not None:
            break
        time.sleep(0.2)
    job.send_signal(number)
    output, _ = job.communicate(timeout=120)
    assert job.returncode == 130, output
    assert slurm.calls() == (f"requeue {_JOB}\n" if is_requeued else "")
    assert slurm.processes() == []
    assert started.exists()


def test_machines_that_do_not_start_ray_are_told_of(slurm: Allocation) -> None:
    job = slurm.start("index", SLURM_CPUS_ON_NODE="none", PSOL_JOIN_SECONDS="5")
    output, _ = job.communicate(timeout=120)
    assert job.returncode == 1
    assert "0 of 2 machines have joined Ray after" in output
    assert f"/tmp/psol-{_JOB}/start-*.log" in output
    assert "none" in Path(f"/tmp/psol-{_JOB}/start-0.log").read_text()


def test_it_never_stops_the_ray_of_other_jobs() -> None:
    commands = [line for line in SCRIPT.read_text().splitlines() if not line.lstrip().startswith("#")]
    assert not [line for line in commands if "ray stop" in line or "symmetric-run" in line]
