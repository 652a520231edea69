"""The whole engine, files to Parquet, for `ddt_throughput.py`: `psol boxes` on Ray, and the same without Ray.

One batch goes through before a clock starts.
"""

import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
from fresh_process import peak_memory_mb
from throughput_parts import DEVICE, Clock, batches_of, classes, decoder_of, make_network, paths_of

from psol_ray.generators.ddt.class_boxes import locate_class
from psol_ray.generators.ddt.stream import FeatureStream
from psol_ray.tables import Provenance, RunDir

__all__ = ["engine", "engine_in_process"]

Json = dict[str, Any]

JOBS_AN_ACTOR = 2  # as in psol_ray.distributed.locate, which cannot be imported without Ray


def engine_in_process(params: Json) -> Json:
    """The engine without Ray: one stream, two classes at a time, files to Parquet, as an actor does it."""
    decoders = [decoder_of(params) for _ in range(1 if DEVICE.type == "cpu" else 2)]
    stream = FeatureStream(decoders, make_network(params), params["batch_size"], DEVICE)
    stage = RunDir(tempfile.mkdtemp(dir=params["run_dir"])).stage("boxes")
    made_by = Provenance("boxes", {}, {})

    def locate(images: pa.Table) -> None:
        paths = paths_of(params, images)
        table = locate_class(
            images, lambda accept: stream.read(paths, accept), input_size=params["input_size"], upsample="bilinear"
        )
        stage.write_part(f"part-{images['class_name'][0]}", table, made_by)

    stream.read(batches_of(params)[0], _ignore)
    stream.busy_s = stream.waited_s = 0.0
    every, clock = classes(params), Clock()
    with ThreadPoolExecutor(JOBS_AN_ACTOR) as threads:
        list(threads.map(locate, sorted(every, key=len, reverse=True)))
    result = clock.result(sum(map(len, every)))
    stream.close()
    return {**result, "network_waits_share": stream.waited_s / (stream.busy_s + stream.waited_s)}


def engine(params: Json) -> Json:
    """`psol boxes` itself, on a local Ray.

    Its actors are made, and given a batch to warm up (the first builds DALI's pipeline), before `run_pool` is entered;
    the clock runs from there, where the first job is handed out, until the last part is written, by that file's time.
    What comes before is `startup_s`.
    """
    import ray

    from psol_ray.config import BoxesConfig, ClusterConfig, Config, DataConfig
    from psol_ray.pipeline import boxes
    from psol_ray.pipeline.context import Context

    run_dir = Path(tempfile.mkdtemp(dir=params["run_dir"]))
    shutil.copytree(Path(params["run_dir"]) / "catalog", run_dir / "catalog")
    config = Config(
        str(run_dir),
        DataConfig(params["images"], params["layout"]),
        boxes=BoxesConfig(**{name: params[name] for name in ("backbone", "weights", "input_size", "batch_size")}),
        cluster=ClusterConfig(workers=params["workers"]),
    )
    begun, run_pool = time.time(), boxes.run_pool
    warm_up, every = batches_of(params)[0], classes(params)
    started, figures = 0.0, []

    def run_warm_pool(make_actor: Any, num_actors: int, jobs: Any, *, on_done: Any, **options: Any) -> None:
        nonlocal started
        actors = [make_actor() for _ in range(min(num_actors, len(jobs)))]
        ray.get([actor.__ray_call__.remote(_warm_actor, warm_up) for actor in actors])

        def look(job: Any) -> None:
            on_done(job)
            if len(list(run_dir.glob("boxes/*.parquet"))) == len(every):
                figures.extend(ray.get([actor.__ray_call__.remote(_look_at_actor) for actor in actors]))

        started = time.time()
        run_pool(iter(actors).__next__, len(actors), jobs, on_done=look, **options)

    boxes.run_pool = run_warm_pool
    boxes.locate(Context(config))
    seconds = max(part.stat().st_mtime for part in run_dir.glob("boxes/*.parquet")) - started
    images = sum(map(len, every))
    busy_s, waited_s, cpu_s = (sum(actor[name] for actor in figures) for name in ("busy_s", "waited_s", "cpu_s"))
    return {
        "images_per_s": images / seconds,
        "cpu_s_an_image": cpu_s / images,
        "startup_s": started - begun,
        "network_waits_share": waited_s / (busy_s + waited_s),
        "peak_memory_mb": max(actor["peak_memory_mb"] for actor in figures),
        "workers": len(figures),
    }


def _warm_actor(locator: Any, paths: list[str]) -> None:
    locator._stream.read(paths, _ignore)
    locator._stream.busy_s = locator._stream.waited_s = 0.0
    locator.cpu_s_before = time.process_time()


def _look_at_actor(locator: Any) -> Json:
    return {
        "busy_s": locator._stream.busy_s,
        "waited_s": locator._stream.waited_s,
        "cpu_s": time.process_time() - locator.cpu_s_before,
        "peak_memory_mb": peak_memory_mb(),
    }


def _ignore(*_: Any) -> None:
    pass
