"""The whole configuration: a section each for the stages, whose dataclasses lie beside their owners."""

from dataclasses import dataclass, field, make_dataclass
from typing import TYPE_CHECKING

from jsonargparse.typing import NonNegativeInt

from psol_ray.catalog.settings import DataConfig, PackConfig
from psol_ray.distributed.settings import ClusterConfig
from psol_ray.evaluation.settings import EvaluateConfig
from psol_ray.formats.settings import ExportConfig
from psol_ray.generators.ddt.settings import DdtSettings
from psol_ray.generators.registry import GENERATORS, MethodName
from psol_ray.generators.settings import InferenceSettings
from psol_ray.prediction.settings import PredictConfig
from psol_ray.serving.settings import ServeConfig
from psol_ray.training.settings import TrainConfig

__all__ = ["BoxesConfig", "Config"]


@dataclass(frozen=True)
class _BoxesConfig(InferenceSettings, DdtSettings):
    """Pseudo boxes: who draws them, and how. DDT's own settings stand here, those of other methods in sections."""

    method: MethodName = "ddt"
    """Who draws the pseudo boxes: ddt, a trained classifier's class activation maps (cam) or its Grad-CAM (grad_cam),
    an earlier localizer, or another project (imported)."""


if TYPE_CHECKING:
    BoxesConfig = _BoxesConfig
else:
    # A section for each generator that the registry knows, so that a new one is a line there and nothing here.
    BoxesConfig = make_dataclass(
        "BoxesConfig",
        [
            (section, settings, field(default_factory=settings))
            for section, settings in {e.section: e.settings for e in GENERATORS.values() if e.section}.items()
        ],
        bases=(_BoxesConfig,),
        frozen=True,
        namespace={"__module__": __name__, "__doc__": _BoxesConfig.__doc__},
    )


def _classifier() -> TrainConfig:
    return TrainConfig(rate_decay_epochs=2)


@dataclass(frozen=True)
class Config:
    """Everything a run needs to know."""

    run_dir: str
    """Folder of the results: a local path, or a URI such as s3://bucket/path."""
    data: DataConfig
    """The images."""
    seed: NonNegativeInt = 0
    """Seed of random crops, shuffles and new layers."""
    boxes: BoxesConfig = field(default_factory=BoxesConfig)
    """The pseudo boxes."""
    localizer: TrainConfig = field(default_factory=TrainConfig)
    """The network that is trained to find boxes."""
    classifier: TrainConfig = field(default_factory=_classifier)
    """The network that is trained to name the object."""
    joint: TrainConfig = field(default_factory=_classifier)
    """The network that is trained to do both."""
    predict: PredictConfig = field(default_factory=PredictConfig)
    """Prediction on the test images."""
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    """How boxes are scored."""
    export: ExportConfig = field(default_factory=ExportConfig)
    """Boxes for other projects."""
    pack: PackConfig = field(default_factory=PackConfig)
    """Images in shards."""
    serve: ServeConfig = field(default_factory=ServeConfig)
    """A server that finds boxes in photos."""
    cluster: ClusterConfig = field(default_factory=ClusterConfig)
    """Where the work is done."""
