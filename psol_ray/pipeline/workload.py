"""What a run will do, before it does it: images, passes of networks over them, and bytes."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from psol_ray.catalog.layouts import list_data
from psol_ray.catalog.listing import FILES
from psol_ray.config import Config
from psol_ray.errors import UserError
from psol_ray.models.lookup import backbone_of
from psol_ray.pipeline.boxes import generator_of
from psol_ray.pipeline.context import Context
from psol_ray.pipeline.layout import data_of
from psol_ray.prediction.ensemble import own_models
from psol_ray.prediction.settings import ViewName
from psol_ray.stages import ModelName
from psol_ray.tables.files import absolute
from psol_ray.tables.schemas import CATALOG, TEST, TRAIN
from psol_ray.training.settings import TrainConfig

__all__ = ["Counts", "Network", "Pass", "Workload", "find_workload", "images_of_rate"]

_NUM_SAMPLES = 256
_TRAINING_FACTOR = 3  # a backward pass takes about two forward passes
_CROPS = {"whole": 1, "center": 1, "ten": 10}
# Bytes of Parquet an image, rather too many than too few: names compress well (a catalog of ImageNet's takes 7 an
# image), numbers do not.
_CATALOG_BYTES, _BOXES_BYTES, _PREDICTION_BYTES, _SCORES_BYTES = 20, 50, 120, 40
_MAP_BYTES = 2 * 14 * 14
_PAGE_BYTES = 2e6
_FLOAT_BYTES = 4


@dataclass(frozen=True)
class Counts:
    """Images and classes; bytes of an image's file, on average, None where they are not known."""

    classes: int
    train: int
    test: int
    bytes_per_image: float | None
    source: str

    @property
    def images(self) -> int:
        """Of both splits."""
        return self.train + self.test


@dataclass(frozen=True)
class Network:
    """A network at a size of input; `features_only` is without the layers behind the feature map."""

    backbone: str
    input_size: int
    features_only: bool = False

    @cached_property
    def flops(self) -> float | None:
        """Operations for an image, a multiply-add being two; None where they cannot be counted."""
        found = _cost(self.backbone, self.input_size)
        return None if found is None else 2 * (found.convolutions + (0 if self.features_only else found.linear))

    @cached_property
    def parameters(self) -> int:
        """How many numbers it has, as far as is known."""
        found = _cost(self.backbone, self.input_size)
        return 0 if found is None else found.parameters


def _cost(backbone: str, input_size: int):  # type: ignore[no-untyped-def]
    # Late: torch and timm take seconds to import.
    from psol_ray.models.costs import cost

    try:
        return cost(backbone, 1, None, input_size)
    except Exception:  # whatever a network raises at a size that is not its own, or without a convolution
        return None


@dataclass(frozen=True)
class Pass:
    """Images that a stage puts through a network, in one view or ten crops each."""

    stage: str
    network: Network
    images: int
    training: bool = False
    view: ViewName = "whole"

    @property
    def crops(self) -> int:
        """How often the network sees an image."""
        return _CROPS[self.view]

    @property
    def factor(self) -> int:
        """How many forward passes an image costs."""
        return self.crops * (_TRAINING_FACTOR if self.training else 1)


def images_of_rate(passes: Sequence[Pass]) -> float:
    """Images of a stage, all its passes, as the rate counts them that a run of it has kept.

    That of a training is of its steps: an image of validation, without a backward pass, counts a third. That of others
    is of whole images, however many networks see them, and in however many crops.
    """
    first = passes[0]
    if first.stage.startswith("train "):
        return sum(each.images * each.factor for each in passes) / first.factor
    return first.images


@dataclass(frozen=True)
class Workload:
    """What a run will do."""

    counts: Counts
    passes: Sequence[Pass]
    trained: Sequence[Network]
    bytes_written: float
    bytes_while_training: float

    @property
    def boxes_flops(self) -> float | None:
        """Operations of an image in the network that draws boxes."""
        return next((each.network.flops for each in self.passes if each.stage == "boxes"), None)

    @property
    def images_read(self) -> int:
        """How many image files are read, each time that one is. A network's second look at a view is none."""
        per_stage: dict[tuple[str, bool], int] = {}
        for each in self.passes:
            key = (each.stage, each.training)
            per_stage[key] = max(per_stage.get(key, 0), each.images)
        return sum(per_stage.values())


def find_workload(context: Context) -> Workload:
    """Count what the run of these settings will do.

    Raises:
        UserError: the images cannot be listed, or a backbone is unknown.
    """
    config, counts = context.config, _count(context)
    passes = list(_passes(context, counts))
    names = own_models(config.predict)
    names += [name for name in generator_of(context).needs() if name not in names]
    trained = [_network(name, getattr(config, name)) for name in names]
    maps = _MAP_BYTES * counts.test if config.boxes.method in ("cam", "grad_cam") else 0
    tables = counts.images * (_CATALOG_BYTES + _BOXES_BYTES + _SCORES_BYTES) + counts.test * _PREDICTION_BYTES
    models = sum(2 * _FLOAT_BYTES * network.parameters for network in trained)  # the last epoch's and the best
    return Workload(counts, passes, trained, tables + maps + models + _PAGE_BYTES, _checkpoints(config, names, trained))


def _checkpoints(config: Config, names: Sequence[ModelName], trained: Sequence[Network]) -> float:
    """Bytes at most while one network trains: weights, momentum, average, of the last checkpoint and the new one."""
    copies = [3 if getattr(config, name).ema_decay else 2 for name in names]
    return max((2 * n * _FLOAT_BYTES * net.parameters for n, net in zip(copies, trained, strict=True)), default=0.0)


def _network(name: ModelName, recipe: TrainConfig) -> Network:
    return Network(recipe.backbone, recipe.input_size or backbone_of(name, recipe.backbone).input_size)


def _passes(context: Context, counts: Counts) -> Iterator[Pass]:
    config = context.config
    boxes, predict = config.boxes, config.predict
    if boxes.method == "ddt":
        backbone_of("boxes", boxes.backbone)
        yield Pass("boxes", Network(boxes.backbone, boxes.input_size, features_only=True), counts.images)
    elif boxes.method in ("cam", "grad_cam"):
        network = _network("classifier", config.classifier)
        yield Pass("boxes", network, counts.images, training=boxes.method == "grad_cam")
    elif boxes.method == "localizer":
        # Whose file says what it is; this run's own is as good a guess.
        yield Pass("boxes", _network("localizer", config.localizer), counts.images)
    before = list(generator_of(context).needs())
    for name in [*before, *(name for name in own_models(predict) if name not in before)]:
        recipe: TrainConfig = getattr(config, name)
        network = _network(name, recipe)
        yield Pass(f"train {name}", network, counts.train * recipe.epochs, training=True)
        yield Pass(f"train {name}", network, counts.test * recipe.epochs)
    joint = predict.models == "joint"
    box_recipe = config.joint if joint else config.localizer
    yield Pass("predict", _network("joint" if joint else "localizer", box_recipe), counts.test, view=predict.view)
    for given in predict.classifiers:
        own = config.joint if joint else config.classifier
        published, _, file = given.partition("=")
        network = _network("classifier", own)
        if given != "trained" and file:
            network = Network(published, backbone_of("predict", published).input_size)
        yield Pass("predict", network, counts.test, view=predict.class_view or predict.view)


def _count(context: Context) -> Counts:
    stage = context.stage("catalog")
    if stage.made_by() is not None:
        table = stage.read(pa.schema([*CATALOG, *FILES]), ["class_name", "split", "bytes"])
        sizes = table["bytes"].filter(pc.greater_equal(table["bytes"], 0)).to_numpy()
        return _counts(table, sizes, "catalog")
    data = data_of(context)
    root = absolute(data.root)
    if data.layout == "demo" and not os.path.isdir(root):
        raise UserError(f"data.root {root}: the demo's images are not made yet; run `psol index` first")
    layout = "folder" if data.layout == "demo" else data.layout
    listing = list_data(layout, root, data.metadata and absolute(data.metadata))
    images, files = listing.images, listing.files
    sizes_N = np.array(list(_sizes(root, images))) if files is None else files["bytes"].to_numpy()
    return _counts(images, sizes_N, "listing")


def _counts(table: pa.Table, sizes: np.ndarray, source: str) -> Counts:
    number = {row["values"]: row["counts"] for row in pc.value_counts(table["split"]).to_pylist()}
    mean = float(sizes.mean()) if len(sizes) else None
    return Counts(len(pc.unique(table["class_name"])), number.get(TRAIN, 0), number.get(TEST, 0), mean, source)


def _sizes(root: str, images: pa.Table) -> Iterator[int]:
    """Bytes of some images' files, spread over the listing."""
    rows = np.linspace(0, max(len(images) - 1, 0), min(_NUM_SAMPLES, len(images))).astype(np.int64)
    for image_id in images["image_id"].take(pa.array(rows)).to_pylist():
        try:
            yield os.stat(os.path.join(root, image_id)).st_size
        except OSError:
            continue
