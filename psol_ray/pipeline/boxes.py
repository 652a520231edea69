"""`psol boxes`: a pseudo box for every image, one part a class."""

import pyarrow as pa
import pyarrow.compute as pc
import ray

from psol_ray.config import result_settings
from psol_ray.distributed.cluster import connect, plan_workers
from psol_ray.distributed.locate import Locator
from psol_ray.distributed.pool import Job, run_pool
from psol_ray.distributed.progress import show_progress
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
        jobs = _jobs(context.catalog())
        todo = set(work.stage.missing(jobs))
        if todo:
            _run(context, work, state, [job for name, job in jobs.items() if name in todo], list(jobs.values()))
        work.summary.update(_summarize(work.stage.read_parts(BOXES, ["status"])))


def _jobs(catalog: pa.Table) -> dict[str, Job]:
    """One job a class, by the name of its part."""
    by_label = catalog.sort_by([("label", "ascending"), ("split", "descending"), ("image_id", "ascending")])
    labels = pc.run_end_encode(by_label.column("label").combine_chunks())
    jobs, start = {}, 0
    for end in labels.run_ends.to_pylist():
        # A copy: a slice would carry the whole table's buffers to the actor.
        rows = by_label.take(pa.array(range(start, end)))
        name = f"part-{rows.column('class_name')[0].as_py()}"
        jobs[name] = Job(name, (name, rows), len(rows))
        start = end
    return jobs


def _run(context: Context, work: Work, state: dict, todo: list[Job], jobs: list[Job]) -> None:
    config = context.config
    connect(config.cluster)
    plan = plan_workers(config.cluster)
    total, left = sum(job.cost for job in jobs), sum(job.cost for job in todo)
    # One copy in the object store, so that weights are read where the driver is and nowhere else.
    state_ref = ray.put(state)
    with show_progress("Pseudo boxes (DDT)", total, total - left) as board:

        def start_locator() -> ray.actor.ActorHandle:
            options = Locator.options(num_cpus=plan.num_cpus, num_gpus=plan.num_gpus)  # type: ignore[attr-defined]
            return options.remote(plan, config.boxes, state_ref, context.data_root, work.stage, work.made_by, board)

        run_pool(start_locator, plan.num_workers, todo)


def _summarize(boxes: pa.Table) -> dict[str, int]:
    counts = {row["values"]: row["counts"] for row in pc.value_counts(boxes.column("status")).to_pylist()}
    return {
        "images": len(boxes),
        "without_foreground": counts.get(NO_FOREGROUND, 0),
        "unreadable": counts.get(UNREADABLE, 0),
    }
