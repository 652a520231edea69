"""`psol run`, Algorithm 1 whole, and `psol transfer`, a localizer on other images."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from psol_ray.errors import UserError
from psol_ray.pipeline import boxes, index, predict, train
from psol_ray.pipeline.context import Context
from psol_ray.pipeline.evaluate import evaluate
from psol_ray.pipeline.report import report
from psol_ray.prediction.ensemble import own_models
from psol_ray.tables import Provenance
from psol_ray.training.settings import ModelName

__all__ = ["run", "transfer"]


@dataclass(frozen=True)
class _Step:
    """A stage of Algorithm 1: what would make it, what can be seen to be wrong before, and how it is made."""

    provenance: Callable[[Context], Provenance]
    check: Callable[[Context], None]
    make: Callable[[Context], None]

    def is_complete(self, context: Context) -> bool:
        """Whether nothing is left to do."""
        try:
            made_by = self.provenance(context)
        except UserError:  # what it is made from is not complete, or cannot be had any more
            return False
        return context.stage(made_by.stage).is_complete(made_by)


def run(context: Context) -> None:
    """Every stage in order; those that are complete do nothing."""
    context.run_dir.check_writable()
    steps = _steps(context)
    # A misspelt name at the end of a long pipeline should not cost its beginning.
    for step in steps:
        if not step.is_complete(context):
            step.check(context)
    for step in steps:
        step.make(context)
    evaluate(context)
    report(context)


def _steps(context: Context) -> list[_Step]:
    before_boxes = list(boxes.generator_of(context).needs())
    after_boxes = [name for name in own_models(context.config.predict) if name not in before_boxes]

    def training(name: ModelName) -> _Step:
        return _Step(
            partial(train.provenance, name=name), partial(train.check, name=name), partial(train.train, name=name)
        )

    return [
        _Step(index.provenance, index.check, index.index),
        *map(training, before_boxes),
        _Step(boxes.provenance, boxes.check, boxes.boxes),
        *map(training, after_boxes),
        _Step(predict.provenance, predict.check, predict.predict),
    ]


def transfer(context: Context) -> None:
    """Score another run's localizer on these images, without training and without a classifier (Table 3).

    Raises:
        UserError: `predict.localizer` does not say which.
    """
    config = context.config
    if config.predict.localizer is None:
        raise UserError(
            "predict.localizer: found none, expected the model.safetensors of another run's localizer; give its path"
        )
    alone = replace(context, config=replace(config, predict=replace(config.predict, classifiers=[])))
    alone.run_dir.check_writable()
    index.index(alone)
    predict.predict(alone)
    evaluate(alone)
    report(alone)
