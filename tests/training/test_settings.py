"""What a trained network depends on, of all that can be set."""

from dataclasses import field as dataclass_field
from dataclasses import fields, make_dataclass, replace
from pathlib import Path
from typing import Any, get_args

import pytest

from psol_ray.errors import UserError
from psol_ray.models.weights_id import hash_bytes
from psol_ray.training.settings import ModelName, TrainConfig

MODELS = get_args(ModelName)
# How fast, and how often it is saved.
OF_NO_MATTER = {"compile", "checkpoint_steps"}


@pytest.mark.parametrize("name", MODELS)
def test_a_network_depends_on_every_field_but_those_of_speed(name: ModelName) -> None:
    expected = {field.name for field in fields(TrainConfig)} - OF_NO_MATTER
    if name == "classifier":
        expected -= {"regression"}  # it has no boxes
    found = TrainConfig().depends_on(name)
    assert found.keys() == expected
    assert found == {field: getattr(TrainConfig(), field) for field in expected}


CHANGES: dict[str, Any] = {
    "backbone": "vgg16",
    "weights": "random",
    "input_size": 96,
    "regression": "per_class",
    "epochs": 7,
    "batch_size": 8,
    "learning_rate": 0.5,
    "head_rate_factor": 1.0,
    "momentum": 0.0,
    "weight_decay": 0.0,
    "schedule": "cosine",
    "rate_decay_epochs": 3,
    "min_crop_area": 0.5,
    "ema_decay": 0.9,
    "micro_batch_size": 2,
    "precision": "float32",
    "compile": True,
    "checkpoint_steps": 3,
}


@pytest.mark.parametrize("field", [field.name for field in fields(TrainConfig)])
def test_a_change_of_a_field_makes_another_network_or_is_of_no_matter(field: str) -> None:
    changed = replace(TrainConfig(), **{field: CHANGES[field]})
    for name in MODELS:
        matters = field not in OF_NO_MATTER and (field, name) != ("regression", "classifier")
        assert (changed.depends_on(name) != TrainConfig().depends_on(name)) is matters


@pytest.mark.parametrize("name", MODELS)
def test_a_field_that_is_added_changes_no_fingerprint(name: ModelName) -> None:
    more: Any = make_dataclass("More", [("dummy", int, dataclass_field(default=1))], bases=(TrainConfig,), frozen=True)
    assert more(epochs=3).dummy == 1
    assert more(epochs=3).depends_on(name) == TrainConfig(epochs=3).depends_on(name)


def test_a_file_of_weights_is_known_by_its_content(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(b"weights")
    assert TrainConfig(weights=str(tmp_path / "w.pth")).depends_on("joint")["weights"] == hash_bytes(b"weights")
    with pytest.raises(UserError, match=r"none\.pth': no such file"):
        TrainConfig(weights=str(tmp_path / "none.pth")).depends_on("joint")
