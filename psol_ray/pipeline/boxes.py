"""`psol boxes`: a pseudo box for every image, one part a class."""

import itertools

import pyarrow as pa
import pyarrow.compute as pc
import ray

from psol_ray.config import result_settings
from psol_ray.distributed.cluster import connect, plan_workers
from psol_ray.distributed.jobs import Job
from psol_ray.distributed.locate import JOBS_AN_ACTOR, Locator
from psol_ray.distributed.pool import run_pool
from psol_ray.distributed.progress import show_progress
from psol_ray.distributed.split import jobs_of_class
from psol_ray.models import hash_state, load_state
from psol_ray.pipeline.context import Context, Work, backbone_of
from psol_ray.tables import BOXES, Provenance
from psol_ray.tables.schemas import NO_FOREGROUND, UNREADABLE

__all__ = ["locate"]


def locate(context: Context) -> None:
    """Run DDT over every class of the catalog that has no part yet."""
    config = context.config.boxes
    catalog_made_by = context.stage("catalog").require()
    backbone = backbone_of("boxes", config.backbone)
    state = load_state(backbone, config.weights, for_features=True)
    settings = {**result_settings(config), "weights_hash": hash_state(state.items())}
    made_by = Provenance("boxes", settings, {"catalog": catalog_made_by.fingerprint})
    with context.making(made_by) as work:
        if work is None:
            return
        classes = _by_part(context.catalog())
        todo = work.stage.missing(classes)
        if todo:
            _run(context, work, state, classes, todo)
        work.summary.update(_summarize(work.stage.read_parts(BOXES, ["status"])))


def _by_part(catalog: pa.Table) -> dict[str, pa.Table]:
    """The rows of each class, by the name of its part, training images first."""
    # Without true boxes, which no actor is to see.
    by_label = catalog.drop_columns(["gt_boxes"]).sort_by(
        [("label", "ascending"), ("split", "descending"), ("image_id", "ascending")]
    )
    labels = pc.run_end_encode(by_label.column("label").combine_chunks())
    classes, start = {}, 0
    for end in labels.run_ends.to_pylist():
        rows = by_label.slice(start, end - start)
        classes[f"part-{rows.column('class_name')[0].as_py()}"] = rows
        start = end
    return classes


def _run(context: Context, work: Work, state: dict, classes: dict[str, pa.Table], todo: list[str]) -> None:
    config = context.config
    connect(config.cluster)
    plan = plan_workers(config.cluster)
    total, left = sum(map(len, classes.values())), sum(len(classes[part]) for part in todo)
    jobs = [job for part in todo for job in jobs_of_class(part, classes[part], left / plan.num_workers)]
    # One copy in the object store, so that weights are read where the driver is and nowhere else.
    state_ref = ray.put(state)
    with show_progress("Pseudo boxes (DDT)", total, total - left) as board:

        def start_locator() -> ray.actor.ActorHandle:
            options = Locator.options(  # type: ignore[attr-defined]
                num_cpus=plan.num_cpus, num_gpus=plan.num_gpus, max_concurrency=JOBS_AN_ACTOR
            )
            return options.remote(plan, config.boxes, state_ref, context.data_root, work.stage, work.made_by, board)

        parts_done = itertools.count(len(classes) - len(todo) + 1)

        def count(job: Job) -> None:
            if job.name in classes:
                board.tell.remote(f"{next(parts_done):,}/{len(classes):,} classes")

        run_pool(start_locator, plan.num_workers, jobs, jobs_an_actor=JOBS_AN_ACTOR, on_done=count)


def _summarize(boxes: pa.Table) -> dict[str, int]:
    counts = {row["values"]: row["counts"] for row in pc.value_counts(boxes.column("status")).to_pylist()}
    return {
        "images": len(boxes),
        "without_foreground": counts.get(NO_FOREGROUND, 0),
        "unreadable": counts.get(UNREADABLE, 0),
    }
