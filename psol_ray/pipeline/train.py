"""`psol train localizer | classifier | joint`: a network from pseudo boxes, from labels, or from both."""

import json
from typing import Any

from psol_ray.models.lookup import backbone_of
from psol_ray.models.saved import SavedNetwork
from psol_ray.pipeline.context import Context, Work
from psol_ray.tables import BOXES, Provenance
from psol_ray.tables.file_names import HISTORY_FILE
from psol_ray.training.settings import ModelName, TrainConfig

__all__ = ["check", "provenance", "train"]


def train(context: Context, name: ModelName) -> None:
    """Train one network to the end, from its last checkpoint if there is one."""
    made_by = provenance(context, name)
    if not context.is_complete(made_by):
        # Late: whoever finds the network complete needs no torch.
        from psol_ray.models.weights import load_state

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
    """Raise a UserError where the backbone is unknown, before hours are spent on what comes before."""
    backbone_of(name, _recipe(context, name).backbone)


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
        max_pixels=context.config.data.max_pixels,
    )
    context.executor.train(setup, f"Training the {name}")
    work.summary.update(images=len(training_set), left_out=training_set.num_left_out, epochs=recipe.epochs)
    work.summary.update(_last_scores(work))


def _last_scores(work: Work) -> dict[str, float]:
    """The scores of the last epoch's validation."""
    lines = (work.stage.read_text(HISTORY_FILE) or "{}").splitlines()
    return {name: value for name, value in json.loads(lines[-1]).items() if name in ("gt_known", "top1")}


def _describe(name: ModelName, recipe: TrainConfig, num_classes: int) -> SavedNetwork:
    num_boxes = num_classes if recipe.regression == "per_class" else 1
    return SavedNetwork(
        backbone=recipe.backbone,
        input_size=recipe.input_size or backbone_of(name, recipe.backbone).input_size,
        num_boxes=0 if name == "classifier" else num_boxes,
        num_classes=None if name == "localizer" else num_classes,
    )
