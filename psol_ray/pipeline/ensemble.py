"""Which networks predict (`predict.localizer`, `predict.classifiers`): this run's, another's, or pretrained ones."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from psol_ray.cli.parse import ModelName
from psol_ray.config import PredictConfig
from psol_ray.distributed.predict import Pretrained, Trained
from psol_ray.distributed.train_worker import BEST_FILE, MODEL_FILE
from psol_ray.errors import UserError
from psol_ray.models.backbones import find_backbone
from psol_ray.models.pretrained import imagenet_columns
from psol_ray.models.saved import SavedNetwork
from psol_ray.models.weights import hash_state, load_classifier_state
from psol_ray.pipeline.context import Context
from psol_ray.pipeline.network_files import open_network
from psol_ray.prediction.views import View
from psol_ray.tables import read_file

__all__ = ["Ensemble", "check_unknown", "find_ensemble", "own_models"]

_OWN = "trained"
_EXPECTED = "expected a model.safetensors of `psol train`"
_REMEDIES = {
    MODEL_FILE: "; run `psol train {name} --overwrite`",
    BEST_FILE: ", which training only writes where test images tell the best epoch by their true boxes or labels;"
    " use --predict.checkpoint last, or run `psol train {name} --overwrite` with such images",
}


class Ensemble(NamedTuple):
    """The networks of a prediction, and what they say of it for its fingerprint."""

    localizer: Trained
    classifiers: Sequence[Trained | Pretrained]
    settings: dict[str, Any]
    sources: dict[str, Any]
    """Where they come from, for people: no part of the fingerprint."""


class _Found(NamedTuple):
    where: str
    make: Callable[[View], Any]
    input_size: int
    crop_share: float
    num_boxes: int
    num_classes: int | None
    described: Any
    backbone: str


def own_models(config: PredictConfig) -> list[ModelName]:
    """The stages of this run whose networks predict."""
    names: list[ModelName] = []
    if config.localizer is None:
        names.append("joint" if config.models == "joint" else "localizer")
    if _OWN in config.classifiers:
        names.append("joint" if config.models == "joint" else "classifier")
    return list(dict.fromkeys(names))


def find_ensemble(context: Context, class_names: Sequence[str]) -> Ensemble:
    """Read every network that the settings name.

    Args:
        class_names: the catalog's, in the order of labels.

    Raises:
        UserError: a network cannot be had, or says neither boxes nor classes that fit the others and the catalog.
    """
    config = context.config.predict
    boxes = _localizer(context)
    classes = [_classifier(context, name, class_names) for name in config.classifiers]
    _check_misfits(boxes, classes, class_names)
    class_view = config.class_view or config.view
    settings = {
        **{name: getattr(config, name) for name in ("models", "checkpoint", "view")},
        "class_view": class_view,
        "crop_share": boxes.crop_share,
        "localizer": boxes.described,
        "classifiers": [found.described for found in classes],
    }
    return Ensemble(
        boxes.make(View.make(config.view, boxes.input_size, boxes.crop_share)),
        [found.make(View.make(class_view, found.input_size, found.crop_share)) for found in classes],
        settings,
        {
            "localizer": {"backbone": boxes.backbone, "file": config.localizer, "input_size": boxes.input_size},
            "classifiers": [{"backbone": found.backbone, "input_size": found.input_size} for found in classes],
        },
    )


def check_unknown(config: PredictConfig) -> None:
    """Raise a UserError for networks that cannot be had, before anything is trained for the prediction."""
    for setting, names in (("localizer", [config.localizer]), ("classifiers", config.classifiers)):
        for name in names:
            if name is None or name == _OWN:
                continue
            if setting == "localizer" or _is_file(name):
                _from_file(f"predict.{setting}", name)
            else:
                find_backbone(name.partition("=")[0])


def _is_file(name: str) -> bool:
    """Whether a classifier is named by a path, which may hold `=`, and not as BACKBONE=WEIGHTS."""
    return name.endswith(".safetensors") and ("=" not in name or "/" in name.partition("=")[0])


def _localizer(context: Context) -> _Found:
    config = context.config.predict
    if config.localizer is None:
        return _own(context, "joint" if config.models == "joint" else "localizer")
    return _from_file("predict.localizer", config.localizer)


def _classifier(context: Context, name: str, class_names: Sequence[str]) -> _Found:
    if name == _OWN:
        return _own(context, "joint" if context.config.predict.models == "joint" else "classifier")
    if _is_file(name):
        return _from_file("predict.classifiers", name)
    return _pretrained(name, class_names)


def _own(context: Context, name: str) -> _Found:
    stage = context.stage(name)
    file = BEST_FILE if context.config.predict.checkpoint == "best" else MODEL_FILE
    data = stage.read_bytes(file)
    if data is None:
        raise UserError(f"{stage.path}: found no {file}{_REMEDIES[file].format(name=name)}")
    # The fingerprint of its stage is among the inputs, so that the tensors need not be hashed.
    return _trained(f"{stage.path}/{file}", data, name)


def _from_file(setting: str, uri: str) -> _Found:
    data = read_file(setting, uri)
    if data is None:
        raise UserError(f"{setting}: found no file {uri!r}, {_EXPECTED}; fix the path")
    where = f"{setting}: {uri!r}"
    _, network = open_network(where, data, _EXPECTED)
    # Not where the file lies.
    return _trained(where, data, hash_state(network.state_dict().items()))


def _trained(where: str, data: bytes, described: str) -> _Found:
    try:
        saved = SavedNetwork.describe(data)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    share = find_backbone(saved.backbone).crop_share
    return _Found(
        where,
        partial(Trained, data),
        saved.input_size,
        share,
        saved.num_boxes,
        saved.num_classes,
        described,
        saved.backbone,
    )


def _pretrained(name: str, class_names: Sequence[str]) -> _Found:
    backbone_name, _, weights = name.partition("=")
    where = f"predict.classifiers: {name!r}"
    try:
        backbone = find_backbone(backbone_name)
        columns = imagenet_columns(class_names)
        state = load_classifier_state(backbone, weights or "default")
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    described = {"backbone": backbone_name, "weights_hash": hash_state(state.items())}
    make = partial(Pretrained, backbone_name, state, columns)
    share, size = backbone.crop_share, backbone.input_size
    return _Found(where, make, size, share, 0, len(class_names), described, backbone_name)


def _check_misfits(boxes: _Found, classes: Sequence[_Found], class_names: Sequence[str]) -> None:
    if not boxes.num_boxes:
        raise UserError(f"{boxes.where}: found a classifier, which says no boxes; give a localizer or a joint network")
    for found in classes:
        if found.num_classes is None:
            raise UserError(f"{found.where}: found a localizer, which knows no classes; give a classifier")
        if found.num_classes != len(class_names):
            raise UserError(
                f"{found.where}: found a classifier of {found.num_classes} classes, expected one of the catalog's"
                f" {len(class_names)}; give one that was trained on the same classes"
            )
    if boxes.num_boxes > 1 and (not classes or boxes.num_boxes != len(class_names)):
        raise UserError(
            f"{boxes.where}: found boxes for {boxes.num_boxes} classes, expected one box an image, or one for each of"
            f" the {len(class_names)} classes that a classifier knows; train both on one catalog"
        )
