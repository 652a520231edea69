"""A cluster that grows while it is used: autoscaler, nodes and workers are real processes, GPUs are made up."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_run_begins_with_what_is_there_and_takes_in_what_comes() -> None:
    """The head lends no CPU, and the autoscaler has a node of 1 GPU and 4 CPUs and one of 2 GPUs and 3 CPUs."""
    # Ray's sockets have paths of at most 107 characters, which pytest's own folders are too long for.
    with tempfile.TemporaryDirectory(prefix="psol") as folder:
        script = [sys.executable, "-m", "tests.distributed.growing_run", folder]
        # Without what `ray.init` has left in this process, such as that the cluster wants a token.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        done = subprocess.run(script, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])

    # The first GPU is waited for, and the CPUs of nobody are taken instead; a run begins though workers are missing.
    assert "Waiting for a machine with a GPU, which the autoscaler is starting" in done.stderr
    num_workers, num_gpus, there = found["at first"]
    assert (num_workers, num_gpus) == (3, 1)
    assert there < 3
    assert f"The cluster has {there} GPUs for 3 workers; the autoscaler is asked for the others" in done.stderr

    # Workers of each node have that node's share, Ray Train's the smallest.
    assert found["asked for"] == {"cpus": [[1, 1], [4]], "done": 6}
    assert found["then"] == [3, {"CPU": 1, "GPU": 1}]

    # A node that somebody adds by hand is used at once, and may leave again.
    assert found["unasked"] == {"cpus": [[1, 1], [2], [4]], "done": 12}
    assert found["in the end"] == 3
