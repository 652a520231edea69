"""`psol boxes` and `psol import`: a pseudo box for every image, one part a class."""

import itertools
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from psol_ray.evaluation.join import mask
from psol_ray.generators.base import Generator
from psol_ray.generators.registry import find_generator
from psol_ray.in_process import InProcess
from psol_ray.pipeline.context import Context, Work
from psol_ray.pipeline.whole import check_parts, read_whole, unreadable_gaps
from psol_ray.tables import BOXES, Provenance, StageDir
from psol_ray.tables.file_names import class_parts
from psol_ray.tables.schemas import MISSING, NO_FOREGROUND, REJECTED, UNREADABLE
from psol_ray.training.settings import ModelName, TrainConfig
from psol_ray.work.executor import PartRun
from psol_ray.work.jobs import Bounded, Resources, WorkerFactory
from psol_ray.work.left_out import LeftOut
from psol_ray.work.perform import PartWriter

__all__ = ["boxes", "check", "generator_of", "import_boxes", "provenance"]


def generator_of(context: Context) -> Generator:
    """Who draws the boxes of this run."""
    return find_generator(context.config.boxes, context.run_dir)


def import_boxes(context: Context) -> None:
    """Take another project's boxes: `boxes` by the method `imported`."""
    config = context.config
    boxes(replace(context, config=replace(config, boxes=replace(config.boxes, method="imported"))))


def boxes(context: Context) -> None:
    """Draw boxes in every class of the catalog that has no part yet."""
    generator = generator_of(context)
    made_by, others = _provenances(context, generator)
    if context.is_complete(made_by):
        return
    # Weights are read, and refused, before anything is claimed for them.
    make_worker, classes = _get_ready(context, generator)
    with context.making(made_by) as work:
        stages = _claim(context, others)
        missing = {part for stage in (work.stage, *stages.values()) for part in stage.missing(classes)}
        left_out, todo = LeftOut.resume(
            work.stage, classes, missing, context.config.data.max_unreadable, skip=context.skip
        )
        hosts: Sequence[str] = ()
        if todo:
            # Parts of other tables appear before that of the boxes, so that complete boxes have all of them.
            writer = PartWriter(
                {**{name: (stages[name], others[name]) for name in others}, "boxes": (work.stage, made_by)}
            )
            hosts = _run(context, work, generator, make_worker, writer, classes, todo, left_out)
        for name, stage in stages.items():
            check_parts(stage, classes, hosts)
            stage.complete(others[name], {"parts": len(classes)})
        _summarize(work, generator, classes, left_out, hosts)


def _get_ready(context: Context, generator: Generator) -> tuple[WorkerFactory, dict[str, pa.Table]]:
    """Who makes workers, and the rows of each class."""
    if generator.in_driver:
        return generator.worker_factory(), _by_part(context.catalog())
    # Beside Ray, which takes as long to start and mostly waits. Ctrl-C and Ray's signals are the main thread's.
    with ThreadPoolExecutor(2) as beside:
        factory = beside.submit(generator.worker_factory)
        classes = beside.submit(lambda: _by_part(context.catalog()))
        context.executor.prepare()
        return factory.result(), classes.result()


def provenance(context: Context) -> Provenance:
    """What would make this run's boxes.

    Raises:
        UserError: what they are made from is not complete, or cannot be had.
    """
    return _provenances(context, generator_of(context))[0]


def check(context: Context) -> None:
    """Raise a UserError for what cannot be right, before hours are spent on what comes before the boxes."""
    config = context.config
    recipes: Mapping[ModelName, TrainConfig] = {
        "localizer": config.localizer,
        "classifier": config.classifier,
        "joint": config.joint,
    }
    generator_of(context).check(recipes)


def _provenances(context: Context, generator: Generator) -> tuple[Provenance, dict[str, Provenance]]:
    """What makes the boxes, and what makes each table beside them."""
    inputs = context.fingerprints("catalog", *generator.needs())
    method = context.config.boxes.method
    config = {"method": method, **generator.depends_on()}
    others = {name: Provenance(name, depends, inputs) for name, depends in generator.other_tables(config).items()}
    details = {
        "title": generator.title,
        "method": method,
        "paper_row": generator.paper_row(config),
        "tables": {name: made_by.fingerprint for name, made_by in others.items()},
        **({"command": "import"} if method == "imported" else {}),
    }
    return Provenance("boxes", config, inputs, details=details), others


def _claim(context: Context, others: Mapping[str, Provenance]) -> dict[str, StageDir]:
    """The stages of the other tables; what is in them already, made as wanted, stays."""
    stages = {name: context.stage(name) for name in others}
    for name, stage in stages.items():
        stage.begin(others[name], overwrite=context.overwrite)
    return stages


def _by_part(catalog: pa.Table) -> dict[str, pa.Table]:
    """The rows of each class, by the name of its part, training images first."""
    # Without ground truth, which no worker is to see.
    by_label = catalog.drop_columns(["gt_boxes"]).sort_by(
        [("label", "ascending"), ("split", "descending"), ("image_id", "ascending")]
    )
    parts = class_parts(pc.unique(by_label.column("class_name")).to_pylist())
    labels = pc.run_end_encode(by_label.column("label").combine_chunks())
    classes, start = {}, 0
    for end in labels.run_ends.to_pylist():
        rows = by_label.slice(start, end - start)
        classes[parts[rows.column("class_name")[0].as_py()]] = rows
        start = end
    return classes


def _run(
    context: Context,
    work: Work,
    generator: Generator,
    make_worker: WorkerFactory,
    writer: PartWriter,
    classes: Mapping[str, pa.Table],
    todo: list[str],
    left_out: LeftOut,
) -> Sequence[str]:
    executor = InProcess(Resources(1)) if generator.in_driver else context.executor
    num_images = sum(len(classes[part]) for part in todo)
    fair_share = num_images / executor.num_workers
    finished = itertools.count(len(classes) - len(todo) + 1)
    run = PartRun(
        title=f"Pseudo boxes ({generator.title})",
        jobs=[job for part in todo for job in generator.jobs(part, classes[part], fair_share)],
        make_worker=Bounded(make_worker, context.config.data.max_pixels),
        writer=writer,
        data_root="" if generator.in_driver else context.data_root,
        total=sum(map(len, classes.values())),
        describe=lambda job: f"{next(finished):,}/{len(classes):,} classes" if job.name in classes else "",
        concurrency=generator.concurrency,
        left_out=left_out,
    )
    with work.timed(executor, num_images):
        return executor.run_parts(run)


def _summarize(
    work: Work, generator: Generator, classes: Mapping[str, pa.Table], left_out: LeftOut, hosts: Sequence[str]
) -> None:
    """Count the rows, once it is known that they are all there."""
    if generator.in_driver:
        classes = _of_boxed_splits(work.stage, classes)
    rows = read_whole(work.stage, BOXES, ["status", "width"], classes, hosts)
    counts = {row["values"]: row["counts"] for row in pc.value_counts(rows["status"]).to_pylist()}
    work.summary.update(
        images=len(rows),
        without_foreground=counts.get(NO_FOREGROUND, 0),
        unreadable=counts.get(UNREADABLE, 0),
        **{status: counts[status] for status in (MISSING, REJECTED) if status in counts},
    )
    work.gaps += left_out.gaps(rows.filter(pc.field("status") == MISSING)["image_id"].to_pylist())
    if not generator.in_driver:
        unreadable_N = mask(pc.and_(pc.equal(rows["status"], UNREADABLE), pc.greater(rows["width"], 0)))
        work.gaps += unreadable_gaps("boxes", rows["image_id"], unreadable_N, left_out.max_share)


def _of_boxed_splits(stage: StageDir, classes: Mapping[str, pa.Table]) -> Mapping[str, pa.Table]:
    """The images of those splits that have boxes: of somebody else's, one may be all there is."""
    boxed = stage.read_parts(BOXES, ["image_id"])["image_id"].combine_chunks()
    catalog = pa.concat_tables(classes.values())
    splits = pc.unique(catalog.filter(pc.is_in(catalog["image_id"], boxed))["split"])
    return {part: rows.filter(pc.is_in(rows["split"], splits)) for part, rows in classes.items()}
