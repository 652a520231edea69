"""`psol predict`: boxes and classes of the test images, by the trained networks alone."""

import json

import pyarrow as pa
import pyarrow.compute as pc
import ray

from psol_ray.distributed.cluster import connect, plan_workers
from psol_ray.distributed.jobs import Job
from psol_ray.distributed.packed import pack
from psol_ray.distributed.pool import run_pool
from psol_ray.distributed.predict import PredictionActor
from psol_ray.distributed.progress import show_progress
from psol_ray.pipeline.context import Context, Work
from psol_ray.pipeline.ensemble import Ensemble, find_ensemble, own_models
from psol_ray.tables import Provenance

__all__ = ["SOURCES_FILE", "predict"]

SOURCES_FILE = "networks.json"

_IMAGES_A_PART = 1024


def predict(context: Context) -> None:
    """Predict every test image whose part is not there yet."""
    names = ("catalog", *own_models(context.config.predict))
    inputs = {name: context.stage(name).require().fingerprint for name in names}
    catalog = context.catalog()
    ensemble = find_ensemble(context, _class_names(catalog))
    with context.making(Provenance("predictions", ensemble.settings, inputs)) as work:
        if work is None:
            return
        images = catalog.filter(pc.field("split") == "test").sort_by("image_id")
        jobs = _jobs(images)
        todo = set(work.stage.missing(jobs))
        if todo:
            _run(context, work, ensemble, [job for name, job in jobs.items() if name in todo], len(images))
        work.stage.write_bytes(SOURCES_FILE, json.dumps(ensemble.sources, indent=1).encode())
        work.summary.update(images=len(images))


def _class_names(catalog: pa.Table) -> list[str]:
    """In the order of labels, with a name for numbers that no image has."""
    pairs = catalog.group_by(["label", "class_name"]).aggregate([])
    names = dict(zip(pairs["label"].to_pylist(), pairs["class_name"].to_pylist(), strict=True))
    return [names.get(label, f"label {label}") for label in range(max(names, default=-1) + 1)]


def _jobs(images: pa.Table) -> dict[str, Job]:
    jobs = {}
    for start in range(0, len(images), _IMAGES_A_PART):
        rows = images.slice(start, _IMAGES_A_PART)
        name = f"part-{start // _IMAGES_A_PART:05d}"
        jobs[name] = Job(name, (name, pack(rows)), len(rows), method="predict")
    return jobs


def _run(context: Context, work: Work, ensemble: Ensemble, todo: list[Job], total: int) -> None:
    config = context.config
    connect(config.cluster)
    plan = plan_workers(config.cluster)
    networks_ref = ray.put((ensemble.localizer, ensemble.classifiers))
    done = total - sum(job.cost for job in todo)
    with show_progress("Predicting", total, done) as board:

        def start_predictor() -> ray.actor.ActorHandle:
            options = PredictionActor.options(  # type: ignore[attr-defined]
                num_cpus=plan.num_cpus, num_gpus=plan.num_gpus
            )
            batch_size = config.predict.batch_size
            return options.remote(
                plan, networks_ref, batch_size, "auto", context.data_root, work.stage, work.made_by, board
            )

        run_pool(start_predictor, plan.num_workers, todo)
