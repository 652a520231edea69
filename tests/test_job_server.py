"""`jobs/run.py` submitted to a real head: statuses and exit codes, a stopped job, and a node killed in each stage."""

import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import STDOUT, Popen
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from distributed.autoscaled import kill_tree
from ray.job_submission import JobDetails, JobStatus, JobSubmissionClient
from ray.util import get_node_ip_address
from s3 import free_port
from synthetic.configs import write_config
from synthetic.images import write_images

from psol_ray.cli import main
from psol_ray.tables import BOXES, CATALOG, PREDICTIONS, RunDir

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("job_server")]

ROOT = Path(__file__).parents[1]
SCHEMAS = {"catalog": CATALOG, "boxes": BOXES, "predictions": PREDICTIONS}
NUM_CLASSES = 40
# Of everything: a machine with other load starts a node in a minute.
PATIENCE_SECONDS = 400
END = {JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.STOPPED}


@dataclass
class Head:
    """A head that works on nothing itself, with its job server; and nodes of one CPU."""

    folder: Path
    port: int = field(default_factory=free_port)
    dashboard: int = field(default_factory=free_port)
    processes: list[Popen[bytes]] = field(default_factory=list)

    def start(self) -> None:
        self._start(
            "--head",
            f"--port={self.port}",
            f"--dashboard-port={self.dashboard}",
            "--num-cpus=0",
            f"--ray-client-server-port={free_port()}",
            # A node that is gone is found to be in seconds, and not in half a minute.
            '--system-config={"health_check_period_ms":1000,"health_check_failure_threshold":5}',
        )

    def add_node(self) -> Popen[bytes]:
        return self._start(f"--address={get_node_ip_address()}:{self.port}", "--num-cpus=1")

    def _start(self, *arguments: str) -> Popen[bytes]:
        programs = Path(sys.executable).parent
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        env = {**os.environ, "PATH": path, "RAY_AUTH_MODE": "disabled", "PSOL_SHARED": ""}
        command = [str(programs / "ray"), "start", "--block", "--disable-usage-stats"]
        command += ["--min-worker-port=0", "--max-worker-port=0", "--dashboard-host=127.0.0.1"]
        ports = ("dashboard-agent-grpc", "dashboard-agent-listen", "runtime-env-agent")
        command += [f"--{name}-port={free_port()}" for name in ports]
        # Machines share no folder: an agent that starts unpacks the job's code anew, where others would be reading it.
        command.append(f"--temp-dir={self.folder / str(len(self.processes))}")
        log = self.folder / f"ray-{len(self.processes)}.log"
        with log.open("w") as output:
            process = Popen([*command, *arguments], env=env, stdout=output, stderr=STDOUT)
        self.processes.append(process)
        while "Ray runtime started" not in log.read_text():
            if process.poll() is not None:
                assert len(self.processes) < 9, log.read_text()
                return self._start(*arguments)
            time.sleep(0.2)
        return process

    def stop(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                kill_tree(process)

    @property
    def client(self) -> JobSubmissionClient:
        return JobSubmissionClient(f"http://127.0.0.1:{self.dashboard}")


@dataclass
class Job:
    """A job on the head."""

    client: JobSubmissionClient
    name: str

    @property
    def details(self) -> JobDetails:
        return self.client.get_job_info(self.name)

    @property
    def logs(self) -> str:
        return self.client.get_job_logs(self.name)

    def wait(self) -> JobDetails:
        """Until it has ended."""
        return until(lambda: self.details if self.details.status in END else None, lambda: self.logs)


def until(look: Callable[[], Any], explain: Callable[[], str] = str) -> Any:
    """What `look` returns, once that is something."""
    started = time.monotonic()
    while not (found := look()):
        assert time.monotonic() - started < PATIENCE_SECONDS, explain()
        time.sleep(0.05)
    return found


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    # Ray's sockets have paths of at most 107 characters, which pytest's own folders are too long for.
    head = Head(Path(tempfile.mkdtemp(prefix="job", dir="/tmp")))
    try:
        head.start()
        until(lambda: _refusal(head) is None, lambda: f"the job server does not answer: {_refusal(head)}")
        yield head
    finally:
        head.stop()
        shutil.rmtree(head.folder, ignore_errors=True)


def _refusal(head: Head) -> str | None:
    """Why the job server does not answer; None once it does."""
    try:
        head.client.list_jobs()
    except Exception as error:  # requests', or Ray's, while it starts
        return repr(error)
    return None


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Settings and images of a run whose boxes take some seconds."""
    folder = tmp_path_factory.mktemp("submitted")
    root = write_images(folder / "images", [f"class{i:02d}" for i in range(NUM_CLASSES)], train=6, val=1)
    boxes = {"backbone": "test_resnet", "weights": "random", "input_size": 320, "precision": "float32"}
    network = {"backbone": "test_efficientnet", "weights": "random", "input_size": 64, "batch_size": 24}
    return write_config(
        folder,
        root,
        boxes=boxes,
        localizer={**network, "epochs": 2},
        classifier={**network, "epochs": 1},
        cluster={"max_failures": 9},
    )


def submit(head: Head, script: str, *arguments: str) -> Job:
    """`ray job submit --working-dir . -- python SCRIPT ...`, in which the job finds its cluster by itself."""
    entrypoint = " ".join(["python", script, *arguments])
    # As a user would: the code travels, and what .gitignore names does not.
    name = head.client.submit_job(entrypoint=entrypoint, runtime_env={"working_dir": str(ROOT)})
    return Job(head.client, name)


def test_a_mistake_is_a_failed_job_with_its_exit_code_and_one_sentence(
    head: Head, settings: Path, tmp_path: Path
) -> None:
    flags = ("--config", str(settings), "--run_dir", str(tmp_path / "run"))
    job = submit(head, "jobs/run.py", *flags, "--data.root", "/nowhere")
    details = job.wait()
    assert (details.status, details.driver_exit_code) == (JobStatus.FAILED, 2), job.logs
    assert "psol run: data.root '/nowhere' does not exist" in job.logs
    job = submit(head, "jobs/psol.py", "index", *flags, "--boxes.input_sze", "3")
    assert (job.wait().driver_exit_code, "boxes.input_sze" in job.logs) == (2, True), job.logs


def test_a_stopped_job_is_gone_on_with_and_a_node_killed_in_each_stage_costs_nothing(
    head: Head, settings: Path, tmp_path: Path
) -> None:
    run_dir = tmp_path / "run"
    flags = ("--config", str(settings), "--run_dir", str(run_dir))
    nodes = [head.add_node(), head.add_node()]

    job = submit(head, "jobs/run.py", *flags)
    until(lambda: list((run_dir / "boxes").glob("part-*.parquet")), lambda: job.logs)
    head.client.stop_job(job.name)
    assert job.wait().status == JobStatus.STOPPED
    until(lambda: "interrupted; the same command goes on from here" in job.logs, lambda: job.logs)
    kept = {path.name: path.stat().st_mtime_ns for path in (run_dir / "boxes").glob("part-*.parquet")}
    assert kept
    assert len(kept) < NUM_CLASSES

    job = submit(head, "jobs/run.py", *flags)
    killed = []
    for stage in ("boxes", "localizer", "predictions"):
        until(lambda stage=stage: _is_at_work(run_dir, stage, kept) or _has_ended(job), lambda: job.logs)
        assert not _has_ended(job), job.logs
        kill_tree(nodes.pop(0))
        killed.append((stage, (run_dir / stage / "_SUCCESS").exists()))
        nodes.append(head.add_node())
    details = job.wait()
    assert (details.status, details.driver_exit_code) == (JobStatus.SUCCEEDED, 0), job.logs
    assert not any(was_complete for _, was_complete in killed), killed
    for name, written in kept.items():
        assert (run_dir / "boxes" / name).stat().st_mtime_ns == written, name

    for name in ("localizer", "classifier"):
        rows = (run_dir / name / "metrics.jsonl").read_text().splitlines()
        assert json.loads(rows[-1])["epoch"] == (2 if name == "localizer" else 1), rows

    quiet = tmp_path / "quiet"
    for command in ("index", "boxes"):
        assert main([command, *flags[:3], str(quiet), "--cluster.address", "in-process"]) == 0
    # With the same networks: batches of two workers have other statistics than one worker's.
    for name in ("localizer", "classifier"):
        shutil.copytree(run_dir / name, quiet / name)
    assert main(["predict", *flags[:3], str(quiet), "--cluster.address", "in-process"]) == 0
    _assert_same(run_dir, quiet)


def _is_at_work(run_dir: Path, stage: str, kept: dict[str, int]) -> bool:
    """Whether the stage has been begun, and of boxes whether a part was written since."""
    if stage == "boxes":
        return any(path.name not in kept for path in (run_dir / stage).glob("part-*.parquet"))
    if stage == "predictions":
        return (run_dir / stage / "_STARTED").exists()
    return any((run_dir / stage).glob("checkpoint_*"))


def _has_ended(job: Job) -> bool:
    return job.details.status in END


def _assert_same(run_dir: Path, quiet: Path) -> None:
    """What a worker with another number of threads makes has other last digits, but for boxes, which are of pixels."""
    tables = {stage: [_table(each, stage, schema) for each in (run_dir, quiet)] for stage, schema in SCHEMAS.items()}
    mine, theirs = tables["catalog"]
    assert mine.equals(theirs)
    mine, theirs = tables["boxes"]
    corners = ["image_id", "label", "width", "height", "x0", "y0", "x1", "y1", "status"]
    assert mine.select(corners).equals(theirs.select(corners))
    for name in set(BOXES.names) - set(corners):
        np.testing.assert_allclose(mine[name].to_numpy(), theirs[name].to_numpy(), rtol=1e-3, atol=1e-5)
    mine, theirs = tables["predictions"]
    assert mine["image_id"].equals(theirs["image_id"])
    assert mine["top_labels"].equals(theirs["top_labels"])
    for name in ("x0", "y0", "x1", "y1"):
        np.testing.assert_allclose(mine[name].to_numpy(), theirs[name].to_numpy(), atol=1e-2)


def _table(run_dir: Path, stage: str, schema: pa.Schema) -> pa.Table:
    return RunDir(str(run_dir)).stage(stage).read(schema).sort_by("image_id")
