"""Provenance: what counts as the same table, and how a difference is told."""

import json
import subprocess
import sys
from typing import Any

import pytest

from psol_ray.tables import Provenance

BASE = Provenance("boxes", {"backbone": "vgg16", "size": 448}, {"catalog": "abc"})


@pytest.mark.parametrize(
    ("other", "same"),
    [
        pytest.param(Provenance("boxes", {"size": 448, "backbone": "vgg16"}, {"catalog": "abc"}), True, id="key order"),
        pytest.param(Provenance("boxes", dict(BASE.config), {"catalog": "abc"}, "9.9"), True, id="version"),
        pytest.param(Provenance("boxes", {"backbone": "vgg16", "size": 224}, {"catalog": "abc"}), False, id="config"),
        pytest.param(Provenance("boxes", dict(BASE.config), {"catalog": "abd"}), False, id="input"),
        pytest.param(Provenance("catalog", dict(BASE.config), {"catalog": "abc"}), False, id="stage"),
        pytest.param(Provenance("boxes", {**BASE.config, "x": None}, {"catalog": "abc"}), False, id="a None more"),
    ],
)
def test_fingerprint_is_of_stage_config_and_inputs(other: Provenance, same: bool) -> None:
    assert (other.fingerprint == BASE.fingerprint) is same


def test_fingerprint_is_the_same_in_another_process_with_another_hash_seed() -> None:
    code = (
        "from psol_ray.tables import Provenance\n"
        "print(Provenance('boxes', {'size': 448, 'backbone': 'vgg16'}, {'catalog': 'abc'}).fingerprint)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONHASHSEED": "7"}, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == BASE.fingerprint


def test_json_there_and_back() -> None:
    odd = Provenance("boxes", {"sizes": (1, 2), "nested": {"a": 0.1}, "none": None}, {"catalog": "abc"}, "0.9")
    back = Provenance.from_json(odd.to_json(summary={"images": 3}).decode())
    assert (back.stage, back.version, back.fingerprint) == ("boxes", "0.9", odd.fingerprint)
    assert json.loads(odd.to_json(summary={"images": 3}))["summary"] == {"images": 3}


@pytest.mark.parametrize("text", ["", '{"stage": "box', "\0\0\0\0", "[]"])
def test_a_file_of_another_program_or_of_a_crash_says_nothing(text: str) -> None:
    assert Provenance.from_json(text) is None


@pytest.mark.parametrize(
    ("config", "inputs", "told"),
    [
        pytest.param({"backbone": "vgg16", "size": 224}, {"catalog": "abc"}, "size: 224 there, 448 now", id="changed"),
        pytest.param({"backbone": "vgg16"}, {"catalog": "abc"}, "size: nothing there, 448 now", id="added"),
        pytest.param({**BASE.config, "x": None}, {"catalog": "abc"}, "x: null there, nothing now", id="a None taken"),
        pytest.param(dict(BASE.config), {"catalog": "abd"}, 'catalog: "abd" there, "abc" now', id="input"),
    ],
)
def test_difference_names_both_fingerprints_and_the_field(config: Any, inputs: Any, told: str) -> None:
    found = Provenance("boxes", config, inputs)
    message = BASE.explain_difference(found)
    assert found.fingerprint in message
    assert BASE.fingerprint in message
    assert f"({told})" in message
    assert "--overwrite" in message


def test_difference_does_not_name_a_tuple_that_came_back_as_a_list() -> None:
    wanted = Provenance("boxes", {"sizes": (1, 2), "epochs": 6}, {})
    written = Provenance.from_json(Provenance("boxes", {"sizes": (1, 2), "epochs": 5}, {}).to_json().decode())
    assert "(epochs: 5 there, 6 now)" in wanted.explain_difference(written)
