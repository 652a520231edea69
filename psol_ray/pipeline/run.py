"""`psol run`, Algorithm 1 whole, and `psol transfer`, a localizer on other images."""

from collections.abc import Callable
from dataclasses import replace

from psol_ray.cli.parse import ModelName
from psol_ray.config import Config
from psol_ray.errors import UserError
from psol_ray.exchange import source_folder
from psol_ray.pipeline.activation import check_settings
from psol_ray.pipeline.boxes import locate
from psol_ray.pipeline.context import Context, backbone_of
from psol_ray.pipeline.ensemble import check_unknown, own_models
from psol_ray.pipeline.evaluate import score
from psol_ray.pipeline.exchange import import_boxes
from psol_ray.pipeline.index import index
from psol_ray.pipeline.predict import predict
from psol_ray.pipeline.report import report
from psol_ray.pipeline.train import train_model

__all__ = ["run", "transfer"]


def run(context: Context) -> None:
    """Every stage in order; those that are complete do nothing.

    Boxes at `source.path` stand in for pseudo boxes. They are read anew each time, so the folder has to stay.
    """
    config = context.config
    # A misspelt name at the end of a long pipeline should not cost its beginning.
    make_boxes, before_boxes = _check_boxes(config)
    after_boxes = [name for name in own_models(config.predict) if name not in before_boxes]
    for section in (*before_boxes, *after_boxes):
        backbone_of(section, getattr(config, section).backbone)
    check_unknown(config.predict)
    index(context)
    for name in before_boxes:
        train_model(context, name)
    make_boxes(context)
    for name in after_boxes:
        train_model(context, name)
    predict(context)
    score(context)
    report(context)


def _check_boxes(config: Config) -> tuple[Callable[[Context], None], list[ModelName]]:
    """Where boxes come from, and what is trained before there are any, if the settings can be right."""
    boxes = config.boxes
    if config.source.path is not None:
        source_folder(config.source.path)
        return import_boxes, []
    if boxes.method == "ddt" and boxes.localizer is None:
        backbone_of("boxes", boxes.backbone)
    check_settings(config)
    # Class maps are those of a classifier.
    return locate, ["classifier"] if boxes.method != "ddt" and boxes.classifier is None else []


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
    index(alone)
    predict(alone)
    score(alone)
    report(alone)
