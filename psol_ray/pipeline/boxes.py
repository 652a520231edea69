"""`psol boxes`: a pseudo box for every image, one part a class."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import ray

from psol_ray.config import BoxesConfig, result_settings
from psol_ray.distributed.cluster import WorkerPlan, connect, plan_workers
from psol_ray.distributed.jobs import Job
from psol_ray.distributed.locate import JOBS_AN_ACTOR, Locator
from psol_ray.distributed.pool import run_pool
from psol_ray.distributed.progress import show_progress
from psol_ray.distributed.split import jobs_of_class
from psol_ray.errors import UserError
from psol_ray.models.weights import hash_state, load_state
from psol_ray.pipeline.activation import ActivationBoxes
from psol_ray.pipeline.context import Context, Work, backbone_of
from psol_ray.pipeline.maps import claim_maps, complete_maps
from psol_ray.pipeline.second_round import SecondRound
from psol_ray.tables import BOXES, Provenance
from psol_ray.tables.schemas import NO_FOREGROUND, UNREADABLE

__all__ = ["locate"]


class _Method(Protocol):
    """How boxes are found. Making one reads its network's weights, and needs no Ray."""

    title: str
    settings: Mapping[str, Any]
    """All that the boxes depend on, for the fingerprint."""
    inputs: Mapping[str, str]
    """Fingerprints of the stages they are made from, apart from the catalog."""
    keeps_maps: bool
    """Whether its jobs write a part of the maps before that of the boxes."""

    def jobs(self, part: str, images: pa.Table, fair_share: float, /) -> Sequence[Job]:
        """The jobs with which a class begins, of `fair_share` images an actor; the last one is named `part`."""
        ...

    def actor_maker(self, plan: WorkerPlan, data_root: str, work: Work, board: Any) -> Callable[[], Any]:
        """Starts an actor that has the jobs' methods."""
        ...


_OF_OTHER_METHODS = ("method", "classifier", "threshold", "localizer")


class _Ddt:
    """Deep Descriptor Transformation (Sec. 3.2.1)."""

    title = "Pseudo boxes (DDT)"
    inputs: Mapping[str, str] = {}
    keeps_maps = False

    def __init__(self, config: BoxesConfig) -> None:
        self._config = config
        self._state = load_state(backbone_of("boxes", config.backbone), config.weights, for_features=True)
        weights_hash = hash_state(self._state.items())
        settings = {name: value for name, value in result_settings(config).items() if name not in _OF_OTHER_METHODS}
        self.settings: Mapping[str, Any] = {**settings, "weights_hash": weights_hash}

    def jobs(self, part: str, images: pa.Table, fair_share: float) -> Sequence[Job]:
        return jobs_of_class(part, images, fair_share)

    def actor_maker(self, plan: WorkerPlan, data_root: str, work: Work, board: Any) -> Callable[[], Any]:
        # One copy in the object store, so that weights are read where the driver is and nowhere else.
        state_ref = ray.put(self._state)
        options = Locator.options(  # type: ignore[attr-defined]
            num_cpus=plan.num_cpus, num_gpus=plan.num_gpus, max_concurrency=JOBS_AN_ACTOR
        )
        return lambda: options.remote(plan, self._config, state_ref, data_root, work.stage, work.made_by, board)


def locate(context: Context) -> None:
    """Draw boxes in every class of the catalog that has no part yet."""
    catalog_made_by = context.stage("catalog").require()
    method = _method(context)
    made_by = Provenance("boxes", method.settings, {"catalog": catalog_made_by.fingerprint, **method.inputs})
    with context.making(made_by) as work:
        if work is None:
            return
        maps = claim_maps(context, made_by) if method.keeps_maps else None
        classes = _by_part(context.catalog())
        missing = {part for kept in (work, maps) if kept is not None for part in kept.stage.missing(classes)}
        todo = [part for part in classes if part in missing]
        if todo:
            _run(context, work, method, classes, todo)
        if maps is not None:
            complete_maps(maps)
        work.summary.update(_summarize(work.stage.read_parts(BOXES, ["status"])))


def _method(context: Context) -> _Method:
    config = context.config.boxes
    if config.method != "ddt":
        return ActivationBoxes(context)
    if config.classifier is not None:
        raise UserError(
            f"boxes.classifier: found {config.classifier!r} beside boxes.method ddt, which has no use for one;"
            " set boxes.method to cam or grad_cam, or leave it out"
        )
    return _Ddt(config) if config.localizer is None else SecondRound(config, config.localizer)


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


def _run(context: Context, work: Work, method: _Method, classes: dict[str, pa.Table], todo: list[str]) -> None:
    config = context.config
    connect(config.cluster)
    plan = plan_workers(config.cluster)
    total, left = sum(map(len, classes.values())), sum(len(classes[part]) for part in todo)
    jobs = [job for part in todo for job in method.jobs(part, classes[part], left / plan.num_workers)]
    with show_progress(method.title, total, total - left) as board:
        parts_done = itertools.count(len(classes) - len(todo) + 1)

        def count(job: Job) -> None:
            if job.name in classes:
                board.tell.remote(f"{next(parts_done):,}/{len(classes):,} classes")

        make_actor = method.actor_maker(plan, context.data_root, work, board)
        run_pool(make_actor, plan.num_workers, jobs, jobs_an_actor=JOBS_AN_ACTOR, on_done=count)


def _summarize(boxes: pa.Table) -> dict[str, int]:
    counts = {row["values"]: row["counts"] for row in pc.value_counts(boxes.column("status")).to_pylist()}
    return {
        "images": len(boxes),
        "without_foreground": counts.get(NO_FOREGROUND, 0),
        "unreadable": counts.get(UNREADABLE, 0),
    }
