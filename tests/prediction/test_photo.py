"""Boxes and classes of images in memory: those that the stage gives their files, and whose networks they are."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from synthetic.fixtures import pillow_alone
from synthetic.networks import file_of
from synthetic.tables import CORNERS, catalog_of, image

from psol_ray.errors import UserError
from psol_ray.models.backbones import find_backbone
from psol_ray.models.saved import SavedNetwork
from psol_ray.prediction.networks import TrainedNetwork
from psol_ray.prediction.photo import Found, load_photo_predictor, squash
from psol_ray.prediction.views import View
from psol_ray.prediction.worker import PredictionWorker
from psol_ray.tables import Provenance, RunDir
from psol_ray.work.jobs import Resources, Task

CENTRE = [0.25, 0.25, 0.5, 0.5]
NAMES = ["cat", "<b>dog</b>", "eel"]


def learned(num_boxes: int, num_classes: int | None, *, class_names: Sequence[str] = (), seed: int = 0) -> bytes:
    """A network with other boxes and classes for every image."""
    saved = SavedNetwork("test_efficientnet", 32, num_boxes, num_classes)
    torch.manual_seed(seed)
    network = saved.build()
    for parameter in network.heads.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return saved.to_bytes(network, {"epochs": 3, "version": "0.1"}, class_names)


LOCALIZER, CLASSIFIER = learned(1, None), learned(0, 3, class_names=NAMES, seed=1)
JOINT, PER_CLASS = learned(1, 3, class_names=NAMES), learned(3, None)
FILES = {"localizer": LOCALIZER, "classifier": CLASSIFIER, "joint": JOINT, "per class": PER_CLASS}
SHARE = find_backbone("test_efficientnet").crop_share


def photographs(root: Path, number: int = 7) -> list[Path]:
    """Noise of several sizes, as JPEG and PNG."""
    rng, paths = np.random.default_rng(0), []
    for i in range(number):
        width, height = (int(side) for side in rng.integers(20, 90, 2))
        pixels = np.kron(rng.integers(0, 256, (4, 4, 3)), np.ones((25, 25, 1)))[:height, :width].astype(np.uint8)
        paths.append(root / f"{i}.{'jpg' if i % 2 else 'png'}")
        Image.fromarray(pixels).save(paths[-1])
    return paths


def write_run(folder: Path, networks: dict[str, bytes], *, catalog: bool = False, **predict: Any) -> str:
    """A run directory of finished trainings, and with settings of prediction."""
    run = RunDir(str(folder / "run"))
    for stage, data in networks.items():
        run.stage(stage).write_bytes("model.safetensors", data)
    if catalog:
        rows = [image(f"{name}.jpg", label=label, class_name=name) for label, name in enumerate(("a", "b", "c"))]
        made_by = Provenance("catalog", {}, {})
        run.stage("catalog").write_part("part-00000", catalog_of(*rows), made_by)
        run.stage("catalog").complete(made_by)
    run.write_text("config.yaml", yaml.safe_dump({"predict": predict, "seed": 0}))
    return run.uri


def rows_of_stage(paths: Sequence[Path], networks: Sequence[bytes], view: Any) -> list[Any]:
    sizes = [Image.open(path).size for path in paths]
    table = catalog_of(*(image(p.name, width=w, height=h) for p, (w, h) in zip(paths, sizes, strict=True)))
    seen = View.make(view, 32, SHARE)
    with pillow_alone():
        localizer, *classifiers = [TrainedNetwork(each, seen) for each in networks]
        worker = PredictionWorker(localizer, classifiers, "auto", 64, Resources(1))
        parts = worker.process(Task("part-00000", table, list(map(str, paths)), lambda _: None))
    rows = parts["predictions"].to_pylist()
    return [
        (
            tuple(row[c] for c in CORNERS),
            [(NAMES[i], p) for i, p in zip(row["top_labels"], row["top_probs"], strict=True)],
        )
        for row in rows
    ]


def facts(found: Sequence[Found]) -> list[Any]:
    return [(each.box, each.classes) for each in found]


@pytest.mark.parametrize("view", ["whole", "center"])
@pytest.mark.parametrize(
    ("settings", "networks"),
    [
        ({}, ["localizer", "classifier"]),
        ({"models": "joint"}, ["joint", "joint"]),
        ({}, ["per class", "classifier"]),
        ({}, ["localizer"]),
    ],
)
def test_a_photo_s_box_and_classes_are_those_of_the_stage_to_the_last_digit(
    tmp_path: Path, settings: Any, networks: Sequence[str], view: str
) -> None:
    paths = photographs(tmp_path)
    stages = {"localizer" if name == "per class" else name: FILES[name] for name in networks}
    predictor = load_photo_predictor(write_run(tmp_path, stages, view=view, **settings), device="cpu")
    found = predictor.predict([Image.open(path) for path in paths])
    assert facts(found) == rows_of_stage(paths, [FILES[name] for name in networks], view)
    assert len({each.box for each in found}) == len(paths)
    assert [(each.width, each.height) for each in found] == [Image.open(path).size for path in paths]


def test_arrays_are_images_too(tmp_path: Path) -> None:
    predictor = load_photo_predictor(write_run(tmp_path, {"localizer": LOCALIZER}), device="cpu")
    (path,) = photographs(tmp_path, 1)
    rgb = Image.open(path)
    expected = predictor.predict([rgb])
    assert predictor.predict([np.asarray(rgb)]) == predictor.predict([np.asarray(rgb.convert("RGBA"))]) == expected
    grey = np.asarray(rgb.convert("L"))
    assert predictor.predict([grey]) == predictor.predict([grey[..., None]]) == predictor.predict([rgb.convert("L")])
    assert predictor.predict([]) == []


@pytest.mark.parametrize(
    "array", [np.zeros((3, 3, 3)), np.zeros((3, 3, 2), np.uint8), np.zeros((0, 3, 3), np.uint8), np.zeros(3, np.uint8)]
)
def test_an_array_that_is_no_image_is_refused(array: Any) -> None:
    with pytest.raises(UserError, match=r"image: found an array of \w+ \(.*\), expected uint8 of \(height, width, 3\)"):
        squash(array, frozenset({32}))


def test_images_may_be_made_small_before(tmp_path: Path) -> None:
    predictor = load_photo_predictor(write_run(tmp_path, {"localizer": LOCALIZER}), device="cpu")
    images = [Image.open(path) for path in photographs(tmp_path)]
    small = [squash(each, predictor.sides) for each in images]
    assert {side: array.shape for side, array in small[0].squares.items()} == {32: (32, 32, 3)}
    assert predictor.predict_squashed(small) == predictor.predict(images)


def test_files_of_networks_predict_without_a_run(tmp_path: Path) -> None:
    files = {name: tmp_path / f"{name}.safetensors" for name in ("localizer", "classifier", "joint")}
    for path, data in zip(files.values(), (LOCALIZER, CLASSIFIER, JOINT), strict=True):
        path.write_bytes(data)
    images = [Image.open(path) for path in photographs(tmp_path)]
    alone = load_photo_predictor(str(files["localizer"]), device="cpu")
    assert [each.classes for each in alone.predict(images)] == [[]] * len(images)
    both = load_photo_predictor(str(files["localizer"]), str(files["classifier"]), device="cpu")
    assert [each.box for each in both.predict(images)] == [each.box for each in alone.predict(images)]
    assert {name for name, _ in both.predict(images)[0].classes} == set(NAMES)
    # A joint network names its own classes, unless another is to.
    joint = load_photo_predictor(str(files["joint"]), device="cpu").predict(images)
    other = load_photo_predictor(str(files["joint"]), str(files["classifier"]), device="cpu").predict(images)
    assert [each.box for each in joint] == [each.box for each in other]
    assert [each.classes for each in other] == [each.classes for each in both.predict(images)]
    assert [each.classes for each in joint] != [each.classes for each in other]


def test_names_of_classes_are_the_file_s_or_the_run_s(tmp_path: Path) -> None:
    unnamed = learned(0, 3, seed=1)
    images = [Image.open(path) for path in photographs(tmp_path, 1)]

    def names(folder: str, classifier: bytes, **options: Any) -> set[str]:
        run = write_run(tmp_path / folder, {"localizer": LOCALIZER, "classifier": classifier}, **options)
        return {name for name, _ in load_photo_predictor(run, device="cpu").predict(images)[0].classes}

    assert names("own", CLASSIFIER, catalog=True) == set(NAMES)
    assert names("of run", unnamed, catalog=True) == {"a", "b", "c"}
    assert names("nobody's", unnamed) == {"label 0", "label 1", "label 2"}


def test_what_predicts_is_told(tmp_path: Path) -> None:
    run = write_run(tmp_path, {"localizer": LOCALIZER, "classifier": CLASSIFIER})
    assert load_photo_predictor(run, device="cpu").info == {
        "backbone": "test_efficientnet",
        "input_size": 32,
        "localizer": f"{run}/localizer/model.safetensors",
        "classifiers": [f"{run}/classifier/model.safetensors"],
        "num_classes": 3,
        "device": "cpu",
        "made_by": {"epochs": 3, "version": "0.1"},
    }


def test_what_cannot_predict_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "classifier.safetensors"
    path.write_bytes(CLASSIFIER)
    with pytest.raises(UserError, match=r"localizer: found no file '.*/none\.safetensors', expected a model"):
        load_photo_predictor(str(tmp_path / "none.safetensors"))
    with pytest.raises(UserError, match=r"found a classifier, which predicts no boxes; give a localizer or a joint"):
        load_photo_predictor(str(path))
    with pytest.raises(UserError, match=r"localizer: found no model\.safetensors; run `psol train localizer"):
        load_photo_predictor(write_run(tmp_path, {"classifier": CLASSIFIER}))
    with pytest.raises(UserError, match=r"found boxes for 3 classes, expected one box an image, or one for each"):
        load_photo_predictor(write_run(tmp_path / "b", {"localizer": file_of([CENTRE] * 3)}))
    if not torch.cuda.is_available():
        with pytest.raises(UserError, match="device: found no GPU that PyTorch can use, expected one; give"):
            load_photo_predictor(write_run(tmp_path / "c", {"localizer": LOCALIZER}), device="cuda")
