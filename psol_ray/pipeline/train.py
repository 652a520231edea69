"""`psol train localizer | classifier | joint`: a network from pseudo boxes, from labels, or from both."""

import json
from typing import Any

from psol_ray.models.lookup import backbone_of
from psol_ray.models.saved import SavedNetwork
from psol_ray.pipeline.context import Context, Work
from psol_ray.tables import BOXES, Provenance
from psol_ray.tables.class_names import class_names
from psol_ray.tables.file_names import HISTORY_FILE
from psol_ray.training.settings import ModelName, TrainConfig

__all__ = ["check", "provenance", "train"]


def train(context: Context, name: ModelName) -> None:
    """Train one network to the end, from its last checkpoint if there is one."""
    made_by = provenance(context, name)
    if not context.is_complete(made_by):
        # Late: whoever finds the network complete needs no torch.
        from psol_ray.models.weights import load_state

        check(context, name)
        recipe = _recipe(context, name)
        state = load_state(backbone_of(name, recipe.backbone), recipe.weights, for_features=False)
        with context.making(made_by) as work:
            _train(context, work, name, state)
    # Weights, momentum and average: three or four times the network. Also those a killed run could not remove.
    context.stage(name).discard("checkpoint_")


def provenance(context: Context, name: ModelName) -> Provenance:
    """What would make this network.

    Raises:
        UserError: what it is made from is not complete, or its weights cannot be had.
    """
    inputs = context.fingerprints("catalog", *(() if name == "classifier" else ("boxes",)))
    settings = {**_recipe(context, name).depends_on(name), "seed": context.config.seed}
    return Provenance(name, settings, inputs)


def check(context: Context, name: ModelName) -> None:
    """Raise a UserError where the backbone is unknown or of no use, before hours are spent on what comes before."""
    from psol_ray.models.trial import check_training

    # How many classes there are is known once there is a catalog, and is no matter here.
    check_training(name, _describe(name, _recipe(context, name), num_classes=2))


def _recipe(context: Context, name: ModelName) -> TrainConfig:
    recipe: TrainConfig = getattr(context.config, name)
    return recipe


def _train(context: Context, work: Work, name: ModelName, state: dict[str, Any]) -> None:
    from psol_ray.training.setup import TrainingSetup
    from psol_ray.training.training_set import collect_training_set
    from psol_ray.training.validation import validation_images

    recipe, catalog = _recipe(context, name), context.catalog()
    boxes = None if name == "classifier" else context.stage("boxes").read(BOXES)
    training_set = collect_training_set(catalog, boxes)
    setup = TrainingSetup(
        config=recipe,
        saved=_describe(name, recipe, training_set.num_classes),
        training_set=training_set,
        test_images=validation_images(catalog, classes=name != "localizer"),
        pretrained=state,
        data_root=context.data_root,
        seed=context.config.seed,
        stage=work.stage,
        made_by=work.made_by,
        class_names=class_names(catalog),
        max_unreadable=context.config.data.max_unreadable,
        max_pixels=context.config.data.max_pixels,
    )
    context.executor.train(setup, f"Training the {name}")
    work.summary.update(images=len(training_set), left_out=training_set.num_left_out, epochs=recipe.epochs)
    rows = [json.loads(line) for line in (work.stage.read_text(HISTORY_FILE) or "{}").splitlines()]
    if (rate := rows[-1].get("images_per_s")) is not None:  # of the last epoch's steps, all workers together
        seconds = rows[-1]["workers"] * len(training_set) / rate
        work.rate |= {"images": len(training_set), "worker_seconds": seconds, "device": context.executor.device}
    # Of the last epoch's validation.
    work.summary.update({name: value for name, value in rows[-1].items() if name in ("gt_known", "top1")})
    work.gaps += _gaps(name, rows, len(training_set), len(setup.test_images), setup.max_unreadable)


def _gaps(name: str, rows: list[dict[str, float]], num_training: int, num_test: int, max_share: float) -> list[str]:
    """Sentences on images that some epoch could not use: all that were away, and those that are no images if many."""
    gaps = []
    anew = f"run `psol train {name} --overwrite`"
    for prefix, what, total in (("", "training", num_training), ("test_", "test", num_test)):
        away, unreadable = (int(max(row.get(f"{prefix}{kind}", 0) for row in rows)) for kind in ("away", "unreadable"))
        if away:
            gaps.append(
                f"{name}: up to {away:,} of {total:,} {what} images could not be opened in an epoch; put them back and"
                f" {anew}"
            )
        if unreadable > max_share * total:
            gaps.append(
                f"{name}: up to {unreadable:,} of {total:,} {what} images could be read and not be decoded in an epoch,"
                f" more than data.max_unreadable ({max_share:g}) allows; put whole files in their place and {anew}"
            )
    return gaps


def _describe(name: ModelName, recipe: TrainConfig, num_classes: int) -> SavedNetwork:
    num_boxes = num_classes if recipe.regression == "per_class" else 1
    return SavedNetwork(
        backbone=recipe.backbone,
        input_size=recipe.input_size or backbone_of(name, recipe.backbone).input_size,
        num_boxes=0 if name == "classifier" else num_boxes,
        num_classes=None if name == "localizer" else num_classes,
    )
