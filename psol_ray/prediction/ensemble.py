"""Which networks predict (`predict.localizer`, `predict.classifiers`): this run's, another's, or published ones.

What predictions depend on is known without torch, which is imported once the networks are wanted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from psol_ray.errors import UserError
from psol_ray.models.saved import NetworkFile
from psol_ray.models.weights_id import identify_weights
from psol_ray.prediction.settings import PredictConfig
from psol_ray.stages import ModelName
from psol_ray.tables import CATALOG, RunDir
from psol_ray.tables.class_names import class_names as class_names_of
from psol_ray.tables.file_names import BEST_FILE, MODEL_FILE

if TYPE_CHECKING:
    from psol_ray.models.backbones import Backbone
    from psol_ray.prediction.networks import PretrainedNetwork, TrainedNetwork
    from psol_ray.prediction.views import View

__all__ = ["Ensemble", "LoadedEnsemble", "check_known", "own_models"]

_OWN = "trained"
_EXPECTED = "expected a model.safetensors of `psol train`"
_REMEDIES = {
    MODEL_FILE: "; run `psol train {name} --overwrite`",
    BEST_FILE: ", which training only writes where test images tell the best epoch by their ground truth or labels;"
    " use --predict.checkpoint last, or run `psol train {name} --overwrite` with such images",
}


@dataclass(frozen=True)
class _Member:
    """A network of the ensemble: a file that `psol train` made, or a published classifier and its weights' name."""

    where: str
    backbone: str
    num_boxes: int
    num_classes: int | None
    depends_on: Any
    """Of another run's file None: it is its content."""
    file: NetworkFile | None = None
    weights: str = ""
    own: bool = False

    @property
    def identity(self) -> Any:
        """What of it predictions depend on; not where a file lies."""
        if self.depends_on is None:
            assert self.file is not None
            return self.file.hash
        return self.depends_on


@dataclass(frozen=True)
class LoadedEnsemble:
    """The networks as they travel to workers, and what people and later stages want to know of them."""

    localizer: TrainedNetwork
    classifiers: Sequence[TrainedNetwork | PretrainedNetwork]
    details: dict[str, Any]


def own_models(config: PredictConfig) -> list[ModelName]:
    """The stages of this run whose networks predict."""
    names: list[ModelName] = []
    if config.localizer is None:
        names.append("joint" if config.models == "joint" else "localizer")
    if _OWN in config.classifiers:
        names.append("joint" if config.models == "joint" else "classifier")
    return list(dict.fromkeys(names))


def check_known(config: PredictConfig) -> None:
    """Raise a UserError for networks that cannot be had, before anything is trained for the prediction."""
    from psol_ray.models.backbones import find_backbone
    from psol_ray.models.weights import check_classifier

    if config.localizer is not None:
        _check_whole(_from_file("predict.localizer", config.localizer))
    for name in config.classifiers:
        if _is_file(name):
            _check_whole(_from_file("predict.classifiers", name))
        elif name != _OWN:
            check_classifier(find_backbone(name.partition("=")[0]))


def _is_file(name: str) -> bool:
    """Whether a classifier is named by a path, which may hold `=`, and not as BACKBONE=WEIGHTS."""
    return name.endswith(".safetensors") and ("=" not in name or "/" in name.partition("=")[0])


@dataclass(frozen=True)
class Ensemble:
    """The networks that a run's settings name; their files are read, and nothing is built."""

    config: PredictConfig
    class_names: Sequence[str]
    boxes: _Member
    classes: Sequence[_Member]

    @classmethod
    def find(cls, run: RunDir, config: PredictConfig, class_names: Sequence[str] | None = None) -> Ensemble:
        """Read every file that the settings name.

        Args:
            run: whose own networks may be meant.
            config: the settings.
            class_names: the catalog's, in the order of labels. None takes those that a classifier's file has, or else
                the run's.

        Raises:
            UserError: a file cannot be had, or networks say neither boxes nor classes that fit the others and the
                catalog.
        """
        boxes = _localizer(run, config)
        classes = [_classifier(run, config, name) for name in config.classifiers]
        if class_names is None:
            class_names = _known_names(run, classes)
        _check_fit(boxes, classes, len(class_names))
        return cls(config, class_names, boxes, classes)

    def depends_on(self) -> dict[str, Any]:
        """What the predictions depend on, by name, for their fingerprint, beside the networks of this run."""
        config = self.config
        return {
            **{name: getattr(config, name) for name in ("models", "checkpoint", "view", "precision")},
            "class_view": config.class_view or config.view,
            "localizer": self.boxes.identity,
            "classifiers": [each.identity for each in self.classes],
            # The fingerprint of the stage that made them does not know of a file that was put in the place of one.
            "own_hashes": {
                each.identity: each.file.hash for each in (self.boxes, *self.classes) if each.own and each.file
            },
        }

    def load(self, *, check: bool = True) -> LoadedEnsemble:
        """The networks.

        Args:
            check: build each once, to find a file that is cut short here, and not in every worker.

        Raises:
            UserError: a file is cut short, or a published network cannot be had or does not know the catalog's classes.
        """
        from psol_ray.models.backbones import find_backbone

        for member in (self.boxes, *self.classes) if check else ():
            _check_whole(member)
        share = find_backbone(self.boxes.backbone).crop_share
        localizer = _trained(self.boxes, self.config.view, share)
        classifiers = [self._load_classifier(each) for each in self.classes]
        details = {
            "crop_share": share,
            "localizer": {
                "backbone": self.boxes.backbone,
                "file": self.config.localizer,
                "input_size": localizer.view.size,
            },
            "classifiers": [
                {"backbone": member.backbone, "input_size": network.view.size}
                for member, network in zip(self.classes, classifiers, strict=True)
            ],
        }
        return LoadedEnsemble(localizer, classifiers, details)

    def _load_classifier(self, member: _Member) -> TrainedNetwork | PretrainedNetwork:
        from psol_ray.models.backbones import find_backbone

        view = self.config.class_view or self.config.view
        if member.file is not None:
            return _trained(member, view, find_backbone(member.backbone).crop_share)
        try:
            return _pretrained(find_backbone(member.backbone), member.weights, self.class_names, view)
        except UserError as error:
            raise UserError(f"{member.where}: {error}") from None


def _trained(member: _Member, view: Any, crop_share: float) -> TrainedNetwork:
    from psol_ray.prediction.networks import TrainedNetwork

    assert member.file is not None
    return TrainedNetwork(member.file.data, _view(view, member.file.saved.input_size, crop_share))


def _pretrained(backbone: Backbone, weights: str, class_names: Sequence[str], view: Any) -> PretrainedNetwork:
    from psol_ray.models.pretrained import imagenet_columns
    from psol_ray.models.weights import load_classifier_state
    from psol_ray.prediction.networks import PretrainedNetwork

    columns = imagenet_columns(class_names)
    state = load_classifier_state(backbone, weights)
    return PretrainedNetwork(backbone.name, state, columns, _view(view, backbone.input_size, backbone.crop_share))


def _check_whole(member: _Member) -> None:
    """Raise a UserError for a file that is cut short."""
    if member.file is not None:
        member.file.load()


def _view(name: Any, input_size: int, crop_share: float) -> View:
    from psol_ray.prediction.views import View

    return View.make(name, input_size, crop_share)


def _localizer(run: RunDir, config: PredictConfig) -> _Member:
    if config.localizer is None:
        return _own(run, config, "joint" if config.models == "joint" else "localizer")
    return _from_file("predict.localizer", config.localizer)


def _known_names(run: RunDir, classes: Sequence[_Member]) -> Sequence[str]:
    for each in classes:
        if each.file is not None and each.file.class_names:
            return each.file.class_names
    catalog = run.stage("catalog") if classes else None
    if catalog is not None and catalog.made_by() is not None:
        return class_names_of(catalog.read(CATALOG, ["label", "class_name"]))
    # A file that was trained before files had names, away from its run.
    return [f"label {label}" for label in range(max((each.num_classes or 0 for each in classes), default=0))]


def _classifier(run: RunDir, config: PredictConfig, name: str) -> _Member:
    if name == _OWN:
        return _own(run, config, "joint" if config.models == "joint" else "classifier")
    if _is_file(name):
        return _from_file("predict.classifiers", name)
    where, (backbone, _, weights) = f"predict.classifiers: {name!r}", name.partition("=")
    weights = weights or "default"
    try:
        depends_on = {"backbone": backbone, "weights": identify_weights(weights)}
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    return _Member(where, backbone, 0, None, depends_on, weights=weights)


def _own(run: RunDir, config: PredictConfig, name: str) -> _Member:
    file_name = BEST_FILE if config.checkpoint == "best" else MODEL_FILE
    file = NetworkFile.of_stage(run.stage(name), file_name, _EXPECTED, _REMEDIES[file_name].format(name=name))
    return replace(_member(file, name), own=True)


def _from_file(setting: str, uri: str) -> _Member:
    return _member(NetworkFile.read(setting, uri, _EXPECTED), None)


def _member(file: NetworkFile, depends_on: str | None) -> _Member:
    saved = file.saved
    return _Member(file.where, saved.backbone, saved.num_boxes, saved.num_classes, depends_on, file)


def _check_fit(boxes: _Member, classes: Sequence[_Member], num_classes: int) -> None:
    if not boxes.num_boxes:
        raise UserError(
            f"{boxes.where}: found a classifier, which predicts no boxes; give a localizer or a joint network"
        )
    for each in classes:
        if each.file is None:  # of ImageNet's classes, the catalog's are looked for once its weights are there
            continue
        if each.num_classes is None:
            raise UserError(f"{each.where}: found a localizer, which predicts no classes; give a classifier")
        if each.num_classes != num_classes:
            raise UserError(
                f"{each.where}: found a classifier of {each.num_classes} classes, expected one of the catalog's"
                f" {num_classes}; give one that was trained on the same classes"
            )
    if boxes.num_boxes > 1 and (not classes or boxes.num_boxes != num_classes):
        raise UserError(
            f"{boxes.where}: found boxes for {boxes.num_boxes} classes, expected one box an image, or one for each of"
            f" the {num_classes} classes that a classifier knows; train both on one catalog"
        )
