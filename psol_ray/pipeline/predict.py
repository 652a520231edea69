"""`psol predict`: boxes and classes of the test images, by the trained networks alone."""

import pyarrow as pa
import pyarrow.compute as pc
import ray

from psol_ray.config import result_settings
from psol_ray.distributed.cluster import connect, plan_workers
from psol_ray.distributed.jobs import Job
from psol_ray.distributed.pool import run_pool
from psol_ray.distributed.predict import PredictionActor
from psol_ray.distributed.progress import show_progress
from psol_ray.distributed.train_worker import MODEL_FILE
from psol_ray.errors import UserError
from psol_ray.pipeline.context import Context, Work
from psol_ray.tables import Provenance
from psol_ray.training import SavedNetwork

__all__ = ["predict"]

_IMAGES_A_PART = 1024


def predict(context: Context) -> None:
    """Predict every test image whose part is not there yet."""
    config = context.config.predict
    names = ["joint"] if config.models == "joint" else ["localizer", "classifier"]
    inputs = {name: context.stage(name).require().fingerprint for name in ("catalog", *names)}
    with context.making(Provenance("predictions", result_settings(config), inputs)) as work:
        if work is None:
            return
        images = context.catalog().filter(pc.field("split") == "test").sort_by("image_id")
        jobs = _jobs(images)
        todo = set(work.stage.missing(jobs))
        if todo:
            _run(context, work, names, [job for name, job in jobs.items() if name in todo], len(images))
        work.summary.update(images=len(images))


def _jobs(images: pa.Table) -> dict[str, Job]:
    jobs = {}
    for start in range(0, len(images), _IMAGES_A_PART):
        # A copy: a slice would carry the whole table's buffers to the actor.
        rows = images.take(pa.array(range(start, min(start + _IMAGES_A_PART, len(images)))))
        name = f"part-{start // _IMAGES_A_PART:05d}"
        jobs[name] = Job(name, (name, rows), len(rows))
    return jobs


def _read_model(context: Context, name: str) -> bytes:
    stage = context.stage(name)
    data = stage.read_bytes(MODEL_FILE)
    if data is None:
        raise UserError(f"{stage.path}: found no {MODEL_FILE}; run `psol train {name} --overwrite`")
    try:
        SavedNetwork.describe(data)
    except UserError as error:
        raise UserError(f"{stage.path}/{MODEL_FILE}: {error}") from None
    return data


def _run(context: Context, work: Work, names: list[str], todo: list[Job], total: int) -> None:
    config = context.config
    connect(config.cluster)
    plan = plan_workers(config.cluster)
    models_ref = ray.put({name: _read_model(context, name) for name in names})
    done = total - sum(job.cost for job in todo)
    with show_progress("Predicting", total, done) as board:

        def start_predictor() -> ray.actor.ActorHandle:
            options = PredictionActor.options(  # type: ignore[attr-defined]
                num_cpus=plan.num_cpus, num_gpus=plan.num_gpus
            )
            return options.remote(plan, config.predict, models_ref, context.data_root, work.stage, work.made_by, board)

        run_pool(start_predictor, plan.num_workers, todo)
