"""Run directories as rows of the paper's tables."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from synthetic.run_dirs import write_stage
from synthetic.tables import box_row, boxes_of, catalog_of, image, prediction, predictions_of

from psol_ray.errors import UserError
from psol_ray.evaluation import ScoringProtocol, evaluate
from psol_ray.evaluation.stage import write_scores
from psol_ray.report.run_summary import NetworkSpec, RunSummary
from psol_ray.tables import RunDir

CATALOG = catalog_of(
    image("tie", [(0, 0, 5, 10)]),
    image("right", [(0, 0, 10, 10)]),
    image("wrong", [(0, 0, 1, 1)], label=1),
    image("train", split="train"),
)
NAMES = {"tie": 0, "right": 0, "wrong": 1}
BOXES = boxes_of(*(box_row(name, (0, 0, 10, 10), label=label) for name, label in NAMES.items()))
PREDICTIONS = predictions_of(*(prediction(name, (0, 0, 10, 10), [0, 1]) for name in NAMES))
DDT = {"title": "DDT", "paper_row": {"backbone": "vgg16", "note": "448 pixels, bilinear"}}
CAM = {"title": "CAM", "paper_row": {"backbone": "vgg_gap", "note": "224 pixels, threshold 0.2"}}
TRAINED = {"backbone": "resnet50", "input_size": 224, "regression": "single"}
VIEWS = {"view": "center", "class_view": "ten", "checkpoint": "last"}


def make_run(
    folder: Path,
    *,
    localizer: str = "localizer",
    classifiers: Sequence[Any] = ("classifier",),
    backbones: Sequence[str] = ("resnet50",),
    file: str | None = None,
    **changes: Any,
) -> RunSummary:
    """A run in which a ResNet50 predicts boxes, `classifiers` of `backbones` classes, and all tables are scored."""
    write_stage(folder, CATALOG, "catalog", {"layout": changes.get("layout", "cub")})
    write_stage(folder, BOXES, "boxes", **changes.get("boxes", DDT))
    for name in ("localizer", "classifier", "joint"):
        write_stage(folder, CATALOG, name, {**TRAINED, "regression": changes.get("regression", "single")})
    write_stage(
        folder,
        PREDICTIONS,
        "predictions",
        {**VIEWS, "localizer": localizer, "classifiers": list(classifiers), **changes.get("predict", {})},
        crop_share=0.875,
        localizer={"backbone": "resnet50", "file": file, "input_size": 224},
        classifiers=[{"backbone": backbone, "input_size": 224 + 8 * i} for i, backbone in enumerate(backbones)],
    )
    write_scores(RunDir(str(folder)), evaluate(CATALOG, BOXES, PREDICTIONS).scores, {})
    return RunSummary.read(str(folder))


def test_pseudo_boxes_are_named_by_who_drew_them(tmp_path: Path) -> None:
    images = f"{tmp_path}: 2 classes, 1 training and 3 test images"
    assert make_run(tmp_path).boxes_row() == (1, "DDT", "vgg16", f"{images}; 448 pixels, bilinear")
    cam = make_run(tmp_path, boxes=CAM).boxes_row()
    assert cam == (1, "CAM", "vgg_gap", f"{images}; 224 pixels, threshold 0.2")
    assert make_run(tmp_path, boxes={"title": "imported box", "paper_row": None}).boxes_row() is None


@pytest.mark.parametrize(
    ("networks", "expected"),
    [
        pytest.param({}, (2, "PSOL-Sep", "resnet50"), id="separate"),
        pytest.param(
            {"classifiers": [{"backbone": "resnet50", "weights": "default"}]},
            (2, "PSOL-Sep", "resnet50"),
            id="with the published classifier of its backbone",
        ),
        pytest.param({"localizer": "joint", "classifiers": ["joint"]}, (2, "PSOL-Joint", "resnet50"), id="joint"),
        pytest.param(
            {"classifiers": [{"backbone": "tf_efficientnet_b7.aa_in1k"}], "backbones": ["tf_efficientnet_b7.aa_in1k"]},
            (4, "resnet50 with tf_efficientnet_b7", ""),
            id="another classifier",
        ),
        pytest.param(
            {"classifiers": ["classifier", "0123"], "backbones": ["resnet50", "vgg16"]},
            (4, "resnet50 with resnet50 + vgg16", ""),
            id="two classifiers",
        ),
        pytest.param({"backbones": ["vgg16"]}, (4, "resnet50 with vgg16", ""), id="trained on another backbone"),
    ],
)
def test_predictions_are_named_by_their_networks(
    tmp_path: Path, networks: dict[str, Any], expected: tuple[int, str, str]
) -> None:
    row = make_run(tmp_path, **networks).predictions_row()
    assert row is not None
    assert row[:3] == expected


def test_a_localizer_of_another_run_is_named_by_what_it_has_learned_from(tmp_path: Path) -> None:
    make_run(tmp_path / "other", layout="imagenet")
    alone = {"classifiers": (), "backbones": ()}
    known = make_run(tmp_path / "run", file=f"{tmp_path}/other/localizer/model.safetensors", **alone)
    row = known.predictions_row()
    assert row is not None
    assert row[:3] == (3, "from imagenet", "resnet50")
    unknown = make_run(tmp_path / "run", file=f"{tmp_path}/gone/localizer/model.safetensors", **alone)
    row = unknown.predictions_row()
    assert row is not None
    assert row.method == "from gone"
    assert make_run(tmp_path / "run", **alone).predictions_row() is None


def test_the_note_says_how_networks_saw_images(tmp_path: Path) -> None:
    row = make_run(tmp_path, boxes=CAM, regression="per_class", predict={"checkpoint": "best"}).predictions_row()
    assert row is not None
    assert row.note == (
        f"{tmp_path}: 2 classes, 1 training and 3 test images; boxes at 224 pixels of centre crops, classes at 224 of"
        " ten crops, weights chosen on the test images, a box for each class, learned from CAM"
    )


@pytest.mark.parametrize(
    ("networks", "expected"),
    [
        pytest.param({}, [("resnet50", 1, None, 224), ("resnet50", 0, 2, 224)], id="separate"),
        pytest.param({"localizer": "joint", "classifiers": ["joint"]}, [("resnet50", 1, 2, 224)], id="joint"),
        pytest.param(
            {"regression": "per_class"}, [("resnet50", 2, None, 224), ("resnet50", 0, 2, 224)], id="a box a class"
        ),
        pytest.param(
            {"classifiers": [{"backbone": "resnet50"}]},
            [("resnet50", 1, None, 224), ("resnet50", 0, 1000, 224)],
            id="published classifier",
        ),
        pytest.param(
            {"classifiers": ["0123456789abcdef"]},
            [("resnet50", 1, None, 224), ("resnet50", 0, 2, 224)],
            id="classifier of a file",
        ),
    ],
)
def test_networks_whose_costs_count(
    tmp_path: Path, networks: dict[str, Any], expected: list[tuple[str, int, int | None, int]]
) -> None:
    assert make_run(tmp_path, **networks).networks() == [NetworkSpec(*spec) for spec in expected]


def test_is_scored_as_the_paper_scores(tmp_path: Path) -> None:
    """A tie is wrong, classes count alike, and IoUs are those of the crop."""
    means = make_run(tmp_path).papers_means
    paper = evaluate(CATALOG, BOXES, PREDICTIONS, ScoringProtocol(224 / 256, above=True)).metrics["mean_of_classes"]
    assert means == paper
    assert means["localization"]["gt_known"] == (1 / 2 + 0) / 2


@pytest.mark.parametrize(("name", "data_set"), [("001.Albatross", "cub"), ("n01440764", "imagenet"), ("cat", "wsol")])
def test_a_data_set_is_known_by_the_names_of_its_classes(tmp_path: Path, name: str, data_set: str) -> None:
    write_stage(tmp_path, catalog_of(image("a", class_name=name)), "catalog", {"layout": "wsol"})
    assert RunSummary.read(str(tmp_path)).data_set == data_set


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="found no complete catalog, expected the run_dir of a run"):
        RunSummary.read(str(tmp_path))
    make_run(tmp_path)
    write_stage(tmp_path, PREDICTIONS, "predictions", VIEWS)
    with pytest.raises(UserError, match=r"do not say which networks made them.*run `psol predict --overwrite`"):
        RunSummary.read(str(tmp_path))
