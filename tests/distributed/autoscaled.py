"""A cluster with an autoscaler and nodes of several sizes, all on this machine: real processes, made-up GPUs."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ray.autoscaler._private.fake_multi_node.node_provider import FAKE_HEAD_NODE_ID, FakeMultiNodeProvider
from ray.util import get_node_ip_address

__all__ = ["AutoscaledCluster", "autoscaled_cluster", "kill_tree"]

_RAY = str(Path(sys.executable).parent / "ray")
_MOST_PROCESSES = 5
_LISTS = (
    "cluster_synced_files",
    "rsync_exclude",
    "rsync_filter",
    "initialization_commands",
    "setup_commands",
    "head_setup_commands",
    "worker_setup_commands",
    "head_start_ray_commands",
    "worker_start_ray_commands",
)


class AutoscaledCluster:
    """A head that lends no CPU, and an autoscaler that starts nodes of some types, each at most once.

    Not `ray.cluster_utils.AutoscalingCluster`, which needs a file that wheels lack, and stops every Ray on the machine.
    """

    def __init__(self, folder: Path, types: Mapping[str, Mapping[str, float]]) -> None:
        """`types` holds the resources of a node of each type."""
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self._port = _free_port()
        self.address = f"{get_node_ip_address()}:{self._port}"
        self._file = folder / "autoscaling.json"
        self._file.write_text(json.dumps(self._config(types)))

    def start_head(self) -> None:
        """Start the head, and on it the autoscaler."""
        self._start(
            "--head",
            f"--port={self._port}",
            f"--autoscaling-config={self._file}",
            f"--temp-dir={self._folder / 'r'}",
            "--num-cpus=0",
            "--num-gpus=0",
            "--include-dashboard=false",
            f"--ray-client-server-port={_free_port()}",
        )

    def _config(self, types: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
        head = {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0}
        workers = {
            name: {"resources": dict(resources), "node_config": {}, "min_workers": 0, "max_workers": 1}
            for name, resources in types.items()
        }
        return {
            "cluster_name": "autoscaled",
            "max_workers": len(types),
            "idle_timeout_minutes": 10,
            "upscaling_speed": 1,
            "provider": {
                # `fake_multinode` by its long name: the short one needs a file that wheels lack.
                "type": "external",
                "module": f"{FakeMultiNodeProvider.__module__}.{FakeMultiNodeProvider.__name__}",
                "disable_node_updaters": True,
                "disable_launch_config_check": True,
                "gcs_address": self.address,
                "launch_multiple": True,
                "head_node_id": FAKE_HEAD_NODE_ID,
            },
            "available_node_types": {"ray.head.default": head, **workers},
            "head_node_type": "ray.head.default",
            "auth": {},
            "docker": {},
            "file_mounts": {},
            "file_mounts_sync_continuously": False,
            **{name: [] for name in _LISTS},
        }

    def add_node(
        self, num_cpus: int, num_gpus: int, prefix: Sequence[str] = (), **environment: str
    ) -> subprocess.Popen[bytes]:
        """Start a node that the autoscaler knows nothing of; returns the parent of its processes.

        Args:
            num_cpus: CPUs that it lends.
            num_gpus: GPUs that it says it has.
            prefix: a program that starts another, and the words before that one's.
            environment: variables of its processes.
        """
        arguments = (f"--address={self.address}", f"--num-cpus={num_cpus}", f"--num-gpus={num_gpus}")
        return self._start(*arguments, prefix=prefix, environment=environment)

    def _start(
        self, *arguments: str, prefix: Sequence[str] = (), environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        # A machine where somebody has made a token would give this cluster one.
        env = {**os.environ, "AUTOSCALER_UPDATE_INTERVAL_S": "1", "RAY_AUTH_MODE": "disabled", **(environment or {})}
        if "--head" in arguments:
            # As `ray up` starts a head: the autoscaler's second version.
            env |= {
                "RAY_FAKE_CLUSTER": "1",
                "RAY_enable_autoscaler_v2": "1",
                "RAY_CLOUD_INSTANCE_ID": FAKE_HEAD_NODE_ID,
                "RAY_OVERRIDE_NODE_ID_FOR_TESTING": FAKE_HEAD_NODE_ID,
                "RAY_NODE_TYPE_NAME": "ray.head.default",
            }
        command = [_RAY, "start", "--block", "--disable-usage-stats", "--min-worker-port=0", "--max-worker-port=0"]
        # A node waits 15 s for its agents to say which ports they have taken, and dies if they need longer.
        command += [f"--{name}-port={_free_port()}" for name in ("dashboard-agent-grpc", "runtime-env-agent")]
        log = self._folder / f"ray-{len(self._processes)}.log"
        with log.open("w") as output:
            process = subprocess.Popen(
                [*prefix, *command, *arguments], env=env, stdout=output, stderr=subprocess.STDOUT
            )
        self._processes.append(process)
        while "Ray runtime started" not in log.read_text():
            if process.poll() is not None:
                # Ray gives a node 30 s to start, which a busy machine may need for importing alone.
                if len(self._processes) > _MOST_PROCESSES:
                    raise RuntimeError(log.read_text())
                return self._start(*arguments, prefix=prefix, environment=environment)
            time.sleep(0.2)
        return process

    def stop(self) -> None:
        """End all nodes."""
        for process in self._processes:
            if process.poll() is None:
                kill_tree(process)


def kill_tree(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and whatever it has started, at once."""
    children = defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            pid, parent = int(stat.parent.name), int(stat.read_text().rpartition(")")[2].split()[1])
            children[parent].append(pid)
    family = [process.pid]
    for pid in family:
        family += children[pid]
    for pid in family:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def _free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


@contextmanager
def autoscaled_cluster(folder: Path, types: Mapping[str, Mapping[str, float]]) -> Iterator[AutoscaledCluster]:
    """The cluster, for as long as the block runs."""
    cluster = AutoscaledCluster(folder, types)
    try:
        cluster.start_head()
        yield cluster
    finally:
        cluster.stop()
