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
from psol_ray.distributed.train_worker import BEST_FILE, MODEL_FILE
from psol_ray.errors import UserError
from psol_ray.models import SavedNetwork
from psol_ray.pipeline.context import Context, Work
from psol_ray.tables import Provenance, pack

__all__ = ["predict"]

_IMAGES_A_PART = 1024
_SHARES = {"whole": 1.0, "center": 224 / 256}


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
            models = _read_models(context, names)
            _run(context, work, models, [job for name, job in jobs.items() if name in todo], len(images))
        work.summary.update(images=len(images))


def _jobs(images: pa.Table) -> dict[str, Job]:
    jobs = {}
    for start in range(0, len(images), _IMAGES_A_PART):
        rows = images.slice(start, _IMAGES_A_PART)
        name = f"part-{start // _IMAGES_A_PART:05d}"
        jobs[name] = Job(name, (name, pack(rows)), len(rows), method="predict")
    return jobs


def _read_models(context: Context, names: list[str]) -> list[bytes]:
    files = [_read_model(context, name) for name in names]
    localizer, classifier = files[0][0], files[-1][0]
    if localizer.num_boxes not in (1, classifier.num_classes):
        raise UserError(
            f"the {names[0]} has boxes for {localizer.num_boxes} classes and the {names[-1]} knows"
            f" {classifier.num_classes}; train both on one catalog"
        )
    return [data for _, data in files]


def _read_model(context: Context, name: str) -> tuple[SavedNetwork, bytes]:
    stage = context.stage(name)
    file = BEST_FILE if context.config.predict.checkpoint == "best" else MODEL_FILE
    data = stage.read_bytes(file)
    if data is None:
        raise UserError(f"{stage.path}: found no {file}{_REMEDIES[file].format(name=name)}")
    try:
        return SavedNetwork.describe(data), data
    except UserError as error:
        raise UserError(f"{stage.path}/{file}: {error}") from None


_REMEDIES = {
    MODEL_FILE: "; run `psol train {name} --overwrite`",
    BEST_FILE: ", which training only writes where test images tell the best epoch by their true boxes or labels;"
    " use --predict.checkpoint last, or run `psol train {name} --overwrite` with such images",
}


def _run(context: Context, work: Work, models: list[bytes], todo: list[Job], total: int) -> None:
    config = context.config
    connect(config.cluster)
    plan = plan_workers(config.cluster)
    models_ref = ray.put(models)
    done = total - sum(job.cost for job in todo)
    with show_progress("Predicting", total, done) as board:

        def start_predictor() -> ray.actor.ActorHandle:
            options = PredictionActor.options(  # type: ignore[attr-defined]
                num_cpus=plan.num_cpus, num_gpus=plan.num_gpus
            )
            batch_size, share = config.predict.batch_size, _SHARES[config.predict.view]
            return options.remote(
                plan, models_ref, batch_size, "auto", context.data_root, work.stage, work.made_by, board, share
            )

        run_pool(start_predictor, plan.num_workers, todo)
