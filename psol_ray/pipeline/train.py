"""`psol train localizer | classifier | joint`: a network from pseudo boxes, from labels, or from both."""

import ray

from psol_ray.config import result_settings
from psol_ray.distributed.cluster import connect, plan_workers
from psol_ray.distributed.progress import show_progress
from psol_ray.distributed.train import train
from psol_ray.distributed.train_worker import TrainingTask
from psol_ray.errors import UserError
from psol_ray.models import hash_state, load_state
from psol_ray.pipeline.context import Context, Work, backbone_of
from psol_ray.settings import ModelName
from psol_ray.tables import BOXES, Provenance
from psol_ray.training import SavedNetwork, collect_samples

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
        **result_settings(config),
        "weights_hash": hash_state(state.items()),
        "seed": context.config.seed,
    }
    with context.making(Provenance(name, settings, inputs)) as work:
        if work is not None:
            _train(context, work, name, state)


def _train(context: Context, work: Work, name: ModelName, state: dict) -> None:
    config = getattr(context.config, name)
    boxes = None if name == "classifier" else context.stage("boxes").read(BOXES)
    samples = collect_samples(context.catalog(), boxes)
    connect(context.config.cluster)
    plan = plan_workers(context.config.cluster)
    if config.batch_size % plan.num_workers:
        raise UserError(
            f"{name}.batch_size: {config.batch_size} cannot be shared by {plan.num_workers} workers;"
            " make it a multiple of them"
        )
    steps = -(-len(samples) // config.batch_size)
    with show_progress(f"Training the {name}", steps * config.batch_size * config.epochs) as board:
        saved = SavedNetwork(
            backbone=config.backbone,
            input_size=config.input_size or backbone_of(name, config.backbone).input_size,
            box=name != "classifier",
            num_classes=None if name == "localizer" else samples.num_classes,
        )
        train(
            TrainingTask(
                config=config,
                saved=saved,
                samples=ray.put(samples),
                pretrained=ray.put(state),
                data_root=context.data_root,
                seed=context.config.seed,
                plan=plan,
                stage=work.stage,
                board=board,
            )
        )
    work.summary.update(images=len(samples), left_out=samples.num_left_out, epochs=config.epochs)
