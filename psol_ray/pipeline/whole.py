"""`psol run`, Algorithm 1 whole, and `psol transfer`, a localizer on other images."""

from dataclasses import replace

from psol_ray.errors import UserError
from psol_ray.exchange import source_folder
from psol_ray.pipeline.activation import refuse_settings
from psol_ray.pipeline.boxes import locate
from psol_ray.pipeline.context import Context, backbone_of
from psol_ray.pipeline.ensemble import own_models, refuse_unknown
from psol_ray.pipeline.evaluate import score
from psol_ray.pipeline.exchange import import_boxes
from psol_ray.pipeline.index import index
from psol_ray.pipeline.predict import predict
from psol_ray.pipeline.report import report
from psol_ray.pipeline.train import train_model
from psol_ray.settings import ModelName

__all__ = ["run", "transfer"]


def run(context: Context) -> None:
    """Every stage in order; those that are complete do nothing.

    Boxes at `source.path` stand in for pseudo boxes. They are read anew each time, so the folder has to stay.
    """
    models = own_models(context.config.predict)
    # A misspelt name at the end of a long pipeline should not cost its beginning.
    boxes, imported = context.config.boxes, context.config.source.path is not None
    of_boxes = ["boxes"] if boxes.method == "ddt" and boxes.localizer is None and not imported else []
    # Class maps are those of a classifier, which then is trained before there are boxes.
    before_boxes: list[ModelName] = []
    if boxes.method != "ddt" and boxes.classifier is None and not imported:
        before_boxes, models = ["classifier"], [name for name in models if name != "classifier"]
    for section in (*of_boxes, *before_boxes, *models):
        backbone_of(section, getattr(context.config, section).backbone)
    if context.config.source.path is not None:
        source_folder(context.config.source.path)
    else:
        refuse_settings(context.config)
    refuse_unknown(context.config.predict)
    index(context)
    for name in before_boxes:
        train_model(context, name)
    if imported:
        import_boxes(context)
    else:
        locate(context)
    for name in models:
        train_model(context, name)
    predict(context)
    score(context)
    report(context)


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
