"""`psol train localizer | classifier | joint`: a network from pseudo boxes, from labels, or from both."""

import json

import ray

from psol_ray.cli.parse import ModelName
from psol_ray.config import TrainConfig, result_settings
from psol_ray.distributed.cluster import WorkerPlan, connect, plan_workers
from psol_ray.distributed.diary import HISTORY_FILE
from psol_ray.distributed.progress import show_progress
from psol_ray.distributed.train import train
from psol_ray.distributed.train_setup import TrainingTask
from psol_ray.errors import UserError
from psol_ray.models.saved import SavedNetwork
from psol_ray.models.weights import hash_state, load_state
from psol_ray.pipeline.context import Context, Work, backbone_of
from psol_ray.tables import BOXES, Provenance
from psol_ray.training.samples import collect_samples
from psol_ray.training.validation import validation_images

__all__ = ["train_model"]


def train_model(context: Context, name: ModelName) -> None:
    """Train one network to the end, from its last checkpoint if there is one."""
    config = getattr(context.config, name)
    backbone = backbone_of(name, config.backbone)
    state = load_state(backbone, config.weights, for_features=False)
    inputs = {"catalog": context.stage("catalog").require().fingerprint}
    if name != "classifier":
        inputs["boxes"] = context.stage("boxes").require().fingerprint
    settings = {
        **{field: value for field, value in result_settings(config).items() if not _idle(name, field)},
        "weights_hash": hash_state(state.items()),
        "seed": context.config.seed,
    }
    with context.making(Provenance(name, settings, inputs)) as work:
        if work is not None:
            _train(context, work, name, state)
    # Weights, momentum and average: three or four times the network. Also those a killed run could not remove.
    context.stage(name).discard("checkpoint_")


def _idle(name: ModelName, field: str) -> bool:
    """Whether a field of its config plays no part in this network."""
    return name == "classifier" and field.startswith(("box_", "regression"))


def _train(context: Context, work: Work, name: ModelName, state: dict) -> None:
    config = getattr(context.config, name)
    catalog = context.catalog()
    boxes = None if name == "classifier" else context.stage("boxes").read(BOXES)
    samples = collect_samples(catalog, boxes, config.box_weights)
    connect(context.config.cluster)
    plan = plan_workers(context.config.cluster)
    _check_shares(name, config.batch_size, plan)
    steps = -(-len(samples) // config.batch_size)
    with show_progress(f"Training the {name}", steps * config.batch_size * config.epochs) as board:
        train(
            TrainingTask(
                config=config,
                saved=_describe(name, config, samples.num_classes),
                samples=ray.put(samples),
                test_images=ray.put(validation_images(catalog, classes=name != "localizer")),
                pretrained=ray.put(state),
                data_root=context.data_root,
                seed=context.config.seed,
                plan=plan,
                stage=work.stage,
                made_by=work.made_by,
                board=board,
            ),
            context.config.cluster.max_failures,
        )
    work.summary.update(images=len(samples), left_out=samples.num_left_out, epochs=config.epochs)
    work.summary.update(_last_scores(work))


def _last_scores(work: Work) -> dict[str, float]:
    """What the last epoch's validation found."""
    lines = (work.stage.read_text(HISTORY_FILE) or "{}").splitlines()
    return {name: value for name, value in json.loads(lines[-1]).items() if name in ("gt_known", "top1")}


def _check_shares(name: ModelName, batch_size: int, plan: WorkerPlan) -> None:
    """Raise a UserError where the images of a step cannot be shared by the workers."""
    if plan.min_workers and batch_size < plan.num_workers:
        raise UserError(
            f"{name}.batch_size: {batch_size} images a step leave some of up to {plan.num_workers} workers without one;"
            f" make it larger, or cluster.workers {batch_size} at most"
        )
    if not plan.min_workers and batch_size % plan.num_workers:
        raise UserError(
            f"{name}.batch_size: {batch_size} cannot be shared by {plan.num_workers} workers;"
            " make it a multiple of them"
        )


def _describe(name: ModelName, config: TrainConfig, num_classes: int) -> SavedNetwork:
    num_boxes = num_classes if config.regression == "per_class" else 1
    return SavedNetwork(
        backbone=config.backbone,
        input_size=config.input_size or backbone_of(name, config.backbone).input_size,
        num_boxes=0 if name == "classifier" else num_boxes,
        num_classes=None if name == "localizer" else num_classes,
    )
