"""`psol run`: Algorithm 1 whole."""

from psol_ray.pipeline.boxes import locate
from psol_ray.pipeline.context import Context, backbone_of
from psol_ray.pipeline.evaluate import score
from psol_ray.pipeline.index import index
from psol_ray.pipeline.predict import predict
from psol_ray.pipeline.report import report
from psol_ray.pipeline.train import train_model
from psol_ray.settings import ModelName

__all__ = ["run"]


def run(context: Context) -> None:
    """Every stage in order; those that are complete do nothing."""
    models: tuple[ModelName, ...] = ("localizer", "classifier")
    if context.config.predict.models == "joint":
        models = ("joint",)
    # A misspelt name at the end of a long pipeline should not cost its beginning.
    of_boxes = ("boxes",) if context.config.boxes.localizer is None else ()
    for section in (*of_boxes, *models):
        backbone_of(section, getattr(context.config, section).backbone)
    index(context)
    locate(context)
    for name in models:
        train_model(context, name)
    predict(context)
    score(context)
    report(context)
