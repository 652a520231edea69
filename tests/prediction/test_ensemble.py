"""Which networks predict: whose they are, what predictions depend on, and what is refused."""

import shutil
from dataclasses import field as dataclass_field
from dataclasses import make_dataclass
from pathlib import Path
from typing import Any

import pytest
from synthetic.networks import file_of

from psol_ray.errors import UserError
from psol_ray.models.weights_id import hash_bytes
from psol_ray.prediction.ensemble import Ensemble, check_known, own_models
from psol_ray.prediction.networks import PretrainedNetwork, TrainedNetwork
from psol_ray.prediction.settings import PredictConfig
from psol_ray.prediction.views import View
from psol_ray.tables import RunDir

CENTRE = [0.25, 0.25, 0.5, 0.5]
CLASSES = ["n01440764", "n01443537"]  # two of ImageNet's
LOCALIZER, CLASSIFIER = file_of([CENTRE]), file_of([], 2)
JOINT = file_of([CENTRE], 2)


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ensemble")
    stages = {"localizer": LOCALIZER, "classifier": CLASSIFIER, "joint": JOINT}
    for name, data in stages.items():
        RunDir(str(folder)).stage(name).write_bytes("model.safetensors", data)
    return folder


def find(folder: Path, **settings: Any) -> Ensemble:
    return Ensemble.find(RunDir(str(folder)), PredictConfig(**settings), CLASSES)


@pytest.mark.parametrize(
    ("settings", "models"),
    [
        ({}, ["localizer", "classifier"]),
        ({"models": "joint"}, ["joint"]),
        ({"localizer": "x.safetensors"}, ["classifier"]),
        ({"classifiers": []}, ["localizer"]),
        ({"classifiers": ["resnet50"]}, ["localizer"]),
        ({"localizer": "x.safetensors", "classifiers": ["vgg16", "trained"], "models": "joint"}, ["joint"]),
        ({"localizer": "x.safetensors", "classifiers": []}, []),
    ],
)
def test_of_this_run_only_those_networks_are_needed_that_are_named(settings: dict[str, Any], models: list[str]) -> None:
    assert own_models(PredictConfig(**settings)) == models


DEPENDS_ON = {
    "models": "separate",
    "checkpoint": "last",
    "view": "whole",
    "class_view": "whole",
    "precision": "auto",
    "localizer": "localizer",
    "classifiers": ["classifier"],
    "own_hashes": {"localizer": hash_bytes(LOCALIZER), "classifier": hash_bytes(CLASSIFIER)},
}
ONE_OWN = {"localizer": hash_bytes(LOCALIZER)}


@pytest.mark.parametrize(
    ("settings", "changes"),
    [
        ({}, {}),
        ({"batch_size": 3}, {}),
        ({"precision": "float32"}, {"precision": "float32"}),
        ({"view": "center"}, {"view": "center", "class_view": "center"}),
        ({"class_view": "whole"}, {}),
        ({"class_view": "ten"}, {"class_view": "ten"}),
        ({"classifiers": []}, {"classifiers": [], "own_hashes": ONE_OWN}),
        (
            {"models": "joint"},
            {
                "models": "joint",
                "localizer": "joint",
                "classifiers": ["joint"],
                "own_hashes": {"joint": hash_bytes(JOINT)},
            },
        ),
        (
            {"classifiers": ["trained", "test_efficientnet=random"]},
            {"classifiers": ["classifier", {"backbone": "test_efficientnet", "weights": "random"}]},
        ),
        (
            {"classifiers": ["test_efficientnet"]},
            {"classifiers": [{"backbone": "test_efficientnet", "weights": "default"}], "own_hashes": ONE_OWN},
        ),
    ],
)
def test_what_predictions_depend_on(whole_run: Path, settings: dict[str, Any], changes: dict[str, Any]) -> None:
    assert find(whole_run, **settings).depends_on() == {**DEPENDS_ON, **changes}


def test_another_run_s_file_is_known_by_its_content_and_not_by_its_place(whole_run: Path, tmp_path: Path) -> None:
    paths = [str(shutil.copy(whole_run / "localizer/model.safetensors", tmp_path / name)) for name in ("a", "b")]
    found = [find(whole_run, localizer=path).depends_on() for path in paths]
    own = {"classifier": hash_bytes(CLASSIFIER)}
    assert found[0] == found[1] == {**DEPENDS_ON, "localizer": hash_bytes(LOCALIZER), "own_hashes": own}
    path = str(shutil.copy(whole_run / "classifier/model.safetensors", tmp_path / "c=d.safetensors"))
    assert find(whole_run, classifiers=[path]).depends_on()["classifiers"] == [hash_bytes(CLASSIFIER)]


def test_a_network_of_this_run_that_was_replaced_in_place_is_noticed(whole_run: Path, tmp_path: Path) -> None:
    shutil.copytree(whole_run, tmp_path / "run")
    before = find(tmp_path / "run").depends_on()
    path = tmp_path / "run/localizer/model.safetensors"
    path.write_bytes(file_of([[0.5, 0.5, 0.25, 0.25]]))
    assert len(path.read_bytes()) == len(LOCALIZER)
    assert find(tmp_path / "run").depends_on() != before
    path.write_bytes(LOCALIZER[:-1000])
    damaged = find(tmp_path / "run")
    assert damaged.depends_on() != before
    with pytest.raises(UserError, match=r"localizer/model\.safetensors: found a file that is not whole .* train anew"):
        damaged.load()


def test_the_best_epoch_is_another_file(whole_run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"localizer: found no best\.safetensors, which training only writes where"):
        find(whole_run, checkpoint="best", classifiers=[])
    shutil.copytree(whole_run, tmp_path / "run")
    best = file_of([[0.5, 0.5, 0.25, 0.25]])
    RunDir(str(tmp_path / "run")).stage("localizer").write_bytes("best.safetensors", best)
    ensemble = find(tmp_path / "run", checkpoint="best", classifiers=[])
    assert ensemble.depends_on()["checkpoint"] == "best"
    assert ensemble.load().localizer.data == best


def test_a_field_that_is_added_changes_no_fingerprint(whole_run: Path) -> None:
    more: Any = make_dataclass(
        "More", [("dummy", int, dataclass_field(default=1))], bases=(PredictConfig,), frozen=True
    )
    found = Ensemble.find(RunDir(str(whole_run)), more(), CLASSES).depends_on()
    assert found == DEPENDS_ON


def test_networks_are_loaded_with_their_views_and_told(whole_run: Path, tmp_path: Path) -> None:
    path = str(shutil.copy(whole_run / "localizer/model.safetensors", tmp_path / "model.safetensors"))
    loaded = find(
        whole_run, localizer=path, view="center", class_view="ten", classifiers=["trained", "test_efficientnet=random"]
    ).load()
    share = loaded.details["crop_share"]
    assert 0 < share <= 1
    assert loaded.localizer == TrainedNetwork(LOCALIZER, View.make("center", 64, share))
    trained, published = loaded.classifiers
    assert trained == TrainedNetwork(CLASSIFIER, View.make("ten", 64, share))
    assert isinstance(published, PretrainedNetwork)
    assert published.columns == [0, 1]
    assert published.view.ten
    assert loaded.details == {
        "crop_share": share,
        "localizer": {"backbone": "test_efficientnet", "file": path, "input_size": 64},
        "classifiers": [
            {"backbone": "test_efficientnet", "input_size": 64},
            {"backbone": "test_efficientnet", "input_size": published.view.size},
        ],
    }
    assert find(whole_run).load().details["localizer"]["file"] is None


@pytest.mark.parametrize(
    ("stage", "data", "settings", "told"),
    [
        (
            "localizer",
            CLASSIFIER,
            {},
            "found a classifier, which predicts no boxes; give a localizer or a joint network",
        ),
        ("classifier", LOCALIZER, {}, "found a localizer, which predicts no classes; give a classifier"),
        (
            "classifier",
            file_of([], 3),
            {},
            "found a classifier of 3 classes, expected one of the catalog's 2; give",
        ),
        ("localizer", file_of([CENTRE] * 3), {}, "found boxes for 3 classes, expected one box an image, or one for"),
        ("localizer", file_of([CENTRE] * 2), {"classifiers": []}, "found boxes for 2 classes, expected one box an"),
        ("localizer", b"a photograph", {}, "found a file of another program; expected a model"),
    ],
)
def test_networks_that_do_not_fit_each_other_or_the_catalog_are_told_with_their_file(
    whole_run: Path, tmp_path: Path, stage: str, data: bytes, settings: dict[str, Any], told: str
) -> None:
    shutil.copytree(whole_run, tmp_path / "run")
    (tmp_path / "run" / stage / "model.safetensors").write_bytes(data)
    with pytest.raises(UserError) as complaint:
        find(tmp_path / "run", **settings)
    assert str(complaint.value).startswith(f"{tmp_path}/run/{stage}/model.safetensors: {told}")


def test_a_box_for_each_class_fits_where_a_classifier_chooses_the_class(whole_run: Path, tmp_path: Path) -> None:
    shutil.copytree(whole_run, tmp_path / "run")
    (tmp_path / "run/localizer/model.safetensors").write_bytes(file_of([CENTRE] * 2))
    assert find(tmp_path / "run").boxes.num_boxes == 2


def test_a_network_that_was_not_trained_is_told_with_the_command(whole_run: Path, tmp_path: Path) -> None:
    shutil.copytree(whole_run / "localizer", tmp_path / "localizer")
    with pytest.raises(UserError) as complaint:
        find(tmp_path)
    told = f"{tmp_path}/classifier: found no model.safetensors; run `psol train classifier --overwrite`"
    assert str(complaint.value) == told


def test_networks_that_cannot_be_had_are_told_before_anything_is_trained(tmp_path: Path) -> None:
    check_known(PredictConfig())
    check_known(PredictConfig(classifiers=["trained", "test_efficientnet=default"]))
    none = str(tmp_path / "none.safetensors")
    for settings, told in (
        (
            {"localizer": none},
            f"predict.localizer: found no file '{none}', expected a model.safetensors of `psol train`",
        ),
        ({"classifiers": [none]}, f"predict.classifiers: found no file '{none}', expected a model.safetensors"),
        ({"classifiers": ["resnet5O=random"]}, "'resnet5O' is unknown"),
    ):
        with pytest.raises(UserError) as complaint:
            check_known(PredictConfig(**settings))  # type: ignore[arg-type]
        assert told in str(complaint.value)


def test_weights_and_classes_of_a_published_classifier_are_told_with_its_name(whole_run: Path, tmp_path: Path) -> None:
    name = f"test_efficientnet={tmp_path}/none.pth"
    with pytest.raises(UserError, match=r"^predict\.classifiers: 'test_efficientnet=.*': weights .*: no such file"):
        find(whole_run, classifiers=[name])
    ensemble = Ensemble.find(
        RunDir(str(whole_run)), PredictConfig(classifiers=["test_efficientnet=random"]), ["cat", "dog"]
    )
    with pytest.raises(UserError, match=r"^predict\.classifiers: 'test_efficientnet=random': found 2 of 2 classes"):
        ensemble.load()
