"""`psol predict`: boxes and classes of the test images, by the trained networks alone; of photos see `photos`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from psol_ray.evaluation.join import mask
from psol_ray.pipeline.context import Context, Work
from psol_ray.pipeline.whole import read_whole, unreadable_gaps
from psol_ray.prediction.ensemble import Ensemble, LoadedEnsemble, check_known, own_models
from psol_ray.tables import PREDICTIONS, Provenance
from psol_ray.tables.class_names import class_names
from psol_ray.tables.file_names import IMAGES_PER_PART, numbered_part
from psol_ray.tables.schemas import TEST
from psol_ray.work.executor import PartRun
from psol_ray.work.jobs import Bounded, Job
from psol_ray.work.left_out import LeftOut
from psol_ray.work.perform import PartWriter

__all__ = ["check", "predict", "provenance"]


def predict(context: Context, photos: Sequence[str] = ()) -> None:
    """Predict every test image whose part is not there yet; or photos, where some are named."""
    if photos:
        # Late: the stage needs none of it.
        from psol_ray.pipeline.photos import predict_photos

        predict_photos(context, photos)
        return
    made_by, ensemble = _plan(context)
    if context.is_complete(made_by):
        return
    loaded = ensemble.load()
    with context.making(replace(made_by, details=loaded.details)) as work:
        # Without ground truth, which no worker is to see.
        images = context.catalog().filter(pc.field("split") == TEST).drop_columns(["gt_boxes"]).sort_by("image_id")
        jobs = _jobs(images)
        parts = {name: job.images for name, job in jobs.items()}
        left_out, todo = LeftOut.resume(
            work.stage, parts, work.stage.missing(jobs), context.config.data.max_unreadable, skip=context.skip
        )
        hosts = _run(context, work, loaded, [jobs[name] for name in todo], left_out) if todo else ()
        _summarize(work, images, parts, left_out, hosts)


def provenance(context: Context) -> Provenance:
    """What would make this run's predictions.

    Raises:
        UserError: what they are made from is not complete, or cannot be had.
    """
    return _plan(context)[0]


def check(context: Context) -> None:
    """Raise a UserError for networks that cannot be had, before anything is trained for the prediction."""
    check_known(context.config.predict)


def _plan(context: Context) -> tuple[Provenance, Ensemble]:
    config = context.config.predict
    inputs = context.fingerprints("catalog", *own_models(config))
    ensemble = Ensemble.find(context.run_dir, config, class_names(context.catalog()))
    return Provenance("predictions", ensemble.depends_on(), inputs), ensemble


def _jobs(images: pa.Table) -> dict[str, Job]:
    starts = range(0, len(images), IMAGES_PER_PART)
    jobs = [Job(numbered_part(i), images.slice(start, IMAGES_PER_PART)) for i, start in enumerate(starts)]
    return {job.name: job for job in jobs}


def _run(context: Context, work: Work, loaded: LoadedEnsemble, todo: list[Job], left_out: LeftOut) -> Sequence[str]:
    # Late: whoever finds the predictions complete needs no torch.
    from psol_ray.prediction.worker import PredictionWorker

    config = context.config.predict
    make_worker = partial(PredictionWorker, loaded.localizer, loaded.classifiers, config.precision, config.batch_size)
    run = PartRun(
        title="Predicting",
        jobs=todo,
        make_worker=Bounded(make_worker, context.config.data.max_pixels),
        writer=PartWriter({"predictions": (work.stage, work.made_by)}),
        data_root=context.data_root,
        total=left_out.total,
        concurrency=2,  # while rows of one part are written, the networks work on the other
        left_out=left_out,
    )
    with work.timed(context.executor, run.num_images):
        return context.executor.run_parts(run)


def _summarize(
    work: Work, images: pa.Table, parts: Mapping[str, pa.Table], left_out: LeftOut, hosts: Sequence[str]
) -> None:
    """Count the rows, once it is known that they are all there."""
    rows = read_whole(work.stage, PREDICTIONS, ["x0"], parts, hosts)
    nobox = rows.filter(pc.is_nan(rows["x0"]))["image_id"]
    missing = left_out.of(pa.table({"image_id": nobox}))
    work.summary.update(images=len(rows), **({"missing": len(missing)} if missing else {}))
    work.gaps += left_out.gaps(missing)
    sized = images.filter(pc.field("width") > 0)["image_id"].combine_chunks()
    of_note = pc.and_(pc.is_in(nobox, sized), pc.invert(pc.is_in(nobox, pa.array(missing, pa.string()))))
    unreadable = nobox.filter(of_note).combine_chunks()
    work.gaps += unreadable_gaps(
        "predictions", rows["image_id"], mask(pc.is_in(rows["image_id"], unreadable)), left_out.max_share
    )
