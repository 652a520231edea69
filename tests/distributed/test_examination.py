"""`psol doctor` on a head and two nodes, which are real processes: one node has neither the data nor the same code."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from synthetic.configs import write_config
from synthetic.images import write_images

from psol_ray import __file__ as package_file

from .autoscaled import AutoscaledCluster, autoscaled_cluster, kill_tree

pytestmark = pytest.mark.xdist_group("doctor")  # the fixture is dear

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
from psol_ray.distributed import examination
from psol_ray.cli import main
examination._START_SECONDS = float(sys.argv[1])
sys.exit(main(sys.argv[2:]))
"""


@dataclass(frozen=True)
class Cluster:
    """A cluster, a run on it, and the parent of the processes of the node that lacks something, if there is one."""

    ray: AutoscaledCluster
    folder: Path
    config: Path
    lacking: "subprocess.Popen[bytes] | None" = None

    def doctor(self, *flags: str, seconds: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run `psol doctor`, as a user of a wide terminal does; a node has so long to start a process."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        environment = {**kept, "PYTHONPATH": str(ROOT), "RAY_AUTH_MODE": "disabled", "COLUMNS": "150"}
        command = [sys.executable, "-c", PROGRAM, str(seconds), "doctor", "--config", str(self.config)]
        command += ["--cluster.address", self.ray.address, *flags]
        return subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=self.folder, timeout=300, check=False
        )


@pytest.fixture(scope="module")
def nodes() -> Iterator[Cluster]:
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        pytest.skip("a machine without the data's mount is made by unshare, which is not allowed here")
    # Ray's sockets have paths of at most 107 characters, which pytest's own folders are too long for.
    with tempfile.TemporaryDirectory(prefix="psol") as name:
        folder = Path(name)
        images = write_images(folder / "images", ["red", "blue"])
        other = folder / "other"
        shutil.copytree(Path(package_file).parent, other / "psol_ray", ignore=shutil.ignore_patterns("__pycache__"))
        with (other / "psol_ray" / "errors.py").open("a") as file:
            file.write("# another version\n")
        with autoscaled_cluster(folder, {}) as ray:
            ray.add_node(num_cpus=1, num_gpus=0)
            # Its own mount namespace, in which nothing is in the folder of the images.
            prefix = ["unshare", "-m", "sh", "-c", f'mount -t tmpfs none {images} && exec "$@"', "sh"]
            lacking = ray.add_node(num_cpus=1, num_gpus=1, prefix=prefix, PYTHONPATH=str(other))
            yield Cluster(ray, folder, write_config(folder, images), lacking)


def lines_of(text: str, word: str) -> list[str]:
    return [line for line in text.splitlines() if word in line]


@pytest.mark.slow
def test_what_one_node_lacks_is_told_once_with_what_to_do(nodes: Cluster) -> None:
    done = nodes.doctor()
    assert done.returncode == 2, done.stderr[-3000:]
    (last,) = lines_of(done.stderr, "psol doctor:")
    assert " things that will not work, listed above; mend that, and run it again" in last
    broken = done.stdout.partition("Will not work\n")[2].partition("Will be slow")[0]
    # The data, which the other node has.
    (data,) = lines_of(broken, "mount data.root on it")
    assert "images cannot be read there" in data
    # Another copy of the code, by its hash.
    (code,) = lines_of(broken, "psol_ray is ")
    assert "where the command runs; install the same" in code
    # A GPU that Ray lends and no driver drives.
    (gpu,) = lines_of(broken, "NVIDIA's driver does not work there")
    assert len({line.partition(":")[0] for line in (data, code, gpu)}) == 1
    # What is alike everywhere is one row.
    (row,) = lines_of(done.stdout, " torch ")
    assert "this process" not in row
    assert len(lines_of(done.stdout, "clock, off the driver's")) == 1
    assert not (nodes.folder / "run").exists()


@pytest.mark.slow
def test_a_node_that_does_not_answer_is_a_finding(nodes: Cluster) -> None:
    assert nodes.lacking is not None
    family = [nodes.lacking.pid, *descendants(nodes.lacking.pid)]
    raylets = [pid for pid in family if "raylet/raylet" in command_of(pid).partition(" ")[0]]
    assert raylets
    for pid in raylets:
        os.kill(pid, signal.SIGSTOP)
    try:
        done = nodes.doctor(seconds=25.0)  # long enough for the other one on a busy machine
    finally:
        for pid in raylets:
            os.kill(pid, signal.SIGCONT)
    assert done.returncode == 2, done.stderr[-3000:]
    (silent,) = lines_of(done.stdout, "it did not start a process within 25 s; see whether it, or a mount on it, hangs")
    assert silent.startswith("- ")
    # The other one has answered.
    assert lines_of(done.stdout, "same view")


@pytest.mark.slow
def test_nodes_that_have_everything(nodes: Cluster) -> None:
    """Last of these: the one that lacks something is killed for it."""
    assert nodes.lacking is not None
    kill_tree(nodes.lacking)
    deadline = time.monotonic() + 90
    while (done := nodes.doctor()).returncode and time.monotonic() < deadline:
        time.sleep(2)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert "Will not work" not in done.stdout


@pytest.mark.slow
def test_where_no_machine_has_come_yet_the_autoscaler_brings_one() -> None:
    with tempfile.TemporaryDirectory(prefix="psol") as name:
        folder = Path(name)
        config = write_config(folder, write_images(folder / "images", ["red", "blue"]))
        with autoscaled_cluster(folder, {"worker": {"CPU": 1}}) as ray:
            done = Cluster(ray, folder, config).doctor()
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert "Waiting for a machine with a CPU, which the autoscaler is starting" in done.stderr
    assert "Looking at 1 machines" in done.stderr


def descendants(pid: int) -> list[int]:
    children = [int(word) for path in Path(f"/proc/{pid}/task").glob("*/children") for word in path.read_text().split()]
    return children + [each for child in children for each in descendants(child)]


def command_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
