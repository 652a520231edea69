"""The whole engine, files to Parquet, for `ddt_throughput.py`: `psol boxes` on Ray, and the same without Ray.

A batch goes through each worker before it is given its first class, where the clock starts; it stops where the last
part is written, by that file's time.
"""

import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
from fresh_process import peak_memory_mb
from result import Json
from rich.console import Console
from throughput_parts import CORES, GPU, batches_of, classes

from psol_ray.catalog.settings import DataConfig
from psol_ray.config import BoxesConfig, Config
from psol_ray.distributed.settings import ClusterConfig
from psol_ray.in_process import InProcess
from psol_ray.pipeline.boxes import boxes
from psol_ray.pipeline.context import Context
from psol_ray.storage.addresses import image_addresses
from psol_ray.work.executor import Executor, PartRun
from psol_ray.work.jobs import Job, Resources, Task, WorkerFactory
from psol_ray.work.perform import perform

__all__ = ["MeasuredWorker", "Threads", "engine", "engine_in_process"]


class MeasuredWorker:
    """DDT's worker, warm before its first job; what it has used since is in a file of `folder`."""

    def __init__(
        self,
        make_worker: WorkerFactory,
        prepare: Callable[[Any], None] | None,
        warm_up: Sequence[str],
        folder: str,
        resources: Resources,
    ) -> None:
        worker: Any = make_worker(resources)
        if prepare is not None:
            prepare(worker)
        worker.stream.read(warm_up, _ignore)
        worker.stream.busy_s = worker.stream.waited_s = 0.0
        self._worker = worker
        self._cpu_s, self._begun = time.process_time(), 0.0
        self._file, self._writing = Path(folder) / f"{os.getpid()}.json", threading.Lock()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._worker, name)

        def measured(*arguments: Any) -> Any:
            self._begun = self._begun or time.time()
            result = method(*arguments)
            self._note()
            return result

        return measured

    def _note(self) -> None:
        used = {
            "begun": self._begun,
            "busy_s": self._worker.stream.busy_s,
            "waited_s": self._worker.stream.waited_s,
            "cpu_s": time.process_time() - self._cpu_s,
            "peak_memory_mb": peak_memory_mb(),
            "peak_gpu_memory_mb": 0.0 if GPU is None else torch.cuda.max_memory_allocated() / 2**20,
        }
        with self._writing:
            self._file.write_text(json.dumps(used))


class Threads(InProcess):
    """Runs one worker in this process, with as many jobs at a time as it is given on a cluster."""

    def run_parts(self, run: PartRun) -> Sequence[str]:
        """See `Executor.run_parts`; jobs from which nothing follows."""
        memory = float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
        worker: Any = run.make_worker(Resources(CORES, GPU, memory))

        def do(job: Job) -> None:
            task = Task(job.name, job.images, image_addresses(run.data_root, job.images), _ignore)
            perform(worker, job.method, task, job.arguments, run.writer)

        with ThreadPoolExecutor(run.concurrency) as threads:
            list(threads.map(do, sorted(run.jobs, key=lambda job: -job.cost)))
        worker.close()
        return ()


@dataclass(frozen=True)
class _MeasuredRun(Context):
    """A run of `psol boxes` whose workers, here or on Ray, are measured ones."""

    params: Json | None = None
    prepare: Callable[[Any], None] | None = None

    @cached_property
    def executor(self) -> Executor:
        """See `Context.executor`."""
        assert self.params is not None
        return _Measuring(Threads() if self.params["in_process"] else super().executor, self.params, self.prepare)


class _Measuring:
    """Passes everything on to another executor, with workers that measure."""

    def __init__(self, executor: Executor, params: Json, prepare: Callable[[Any], None] | None) -> None:
        self._executor, self._params, self._prepare = executor, params, prepare

    def __getattr__(self, name: str) -> Any:
        return getattr(self._executor, name)

    def run_parts(self, run: PartRun) -> Sequence[str]:
        first = batches_of(self._params)[0]
        measured = partial(MeasuredWorker, run.make_worker, self._prepare, first, self._params["folder"])
        return self._executor.run_parts(replace(run, make_worker=measured))


def engine(params: Json) -> Json:
    """`psol boxes` itself, on a local Ray; `startup_s` is what comes before its first class."""
    # Late: without Ray, the engine in one process can be measured all the same.
    import ray

    try:
        return _run(params, in_process=False)
    finally:
        ray.shutdown()


def engine_in_process(params: Json, prepare: Callable[[Any], None] | None = None) -> Json:
    """The engine without Ray: one worker with two classes at a time, as an actor has them.

    Args:
        params: see `ddt_throughput.py`.
        prepare: is given DDT's worker before it begins, and may exchange its stream.
    """
    return _run(params, prepare, in_process=True)


_BOXES = ("backbone", "weights", "input_size", "batch_size", "compile")


def _run(params: Json, prepare: Callable[[Any], None] | None = None, *, in_process: bool) -> Json:
    run_dir, folder = (Path(tempfile.mkdtemp(dir=params["run_dir"])) for _ in range(2))
    shutil.copytree(Path(params["run_dir"]) / "catalog", run_dir / "catalog")
    config = Config(
        str(run_dir),
        DataConfig(params["images"], params["layout"]),
        boxes=BoxesConfig(**{name: params[name] for name in _BOXES}),
        cluster=ClusterConfig(workers=params["workers"]),
    )
    params = {**params, "in_process": in_process, "folder": str(folder)}
    started = time.time()
    boxes(_MeasuredRun(config, console=Console(stderr=True), params=params, prepare=prepare))
    workers = [json.loads(file.read_text()) for file in folder.glob("*.json")]
    begun = min(worker["begun"] for worker in workers)
    images = sum(map(len, classes(params)))
    busy_s, waited_s, cpu_s = (sum(worker[name] for worker in workers) for name in ("busy_s", "waited_s", "cpu_s"))
    return {
        "images_per_s": images / (max(part.stat().st_mtime for part in run_dir.glob("boxes/*.parquet")) - begun),
        "cpu_s_an_image": cpu_s / images,
        "startup_s": begun - started,
        "network_waits_share": waited_s / (busy_s + waited_s),
        "peak_memory_mb": max(worker["peak_memory_mb"] for worker in workers),
        **({} if GPU is None else {"peak_gpu_memory_mb": max(worker["peak_gpu_memory_mb"] for worker in workers)}),
        "workers": len(workers),
    }


def _ignore(*_: Any) -> None:
    pass
