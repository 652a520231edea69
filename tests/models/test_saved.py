"""A network's file, and what is taken for one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors
import safetensors.torch
import torch

from psol_ray.errors import UserError
from psol_ray.models.networks import PsolNetwork
from psol_ray.models.saved import SavedNetwork

RECIPE = {"epochs": 6, "learning_rate": 1e-3, "min_crop_area": None, "note": 'é "quoted"', "class_names": ["a", "b"]}


def pictures(number: int, size: int) -> torch.Tensor:
    return torch.randint(0, 256, (number, size, size, 3), dtype=torch.uint8)


def assert_says_the_same(one: PsolNetwork, other: PsolNetwork, images_NHWC: torch.Tensor) -> None:
    for before, after in zip(one(images_NHWC), other(images_NHWC), strict=True):
        assert (before is None) == (after is None)
        assert before is None or torch.equal(before, after)


@pytest.mark.parametrize(("num_boxes", "num_classes"), [(1, None), (3, None), (0, 3), (1, 3), (3, 3)])
@pytest.mark.parametrize("for_training", [True, False])
def test_round_trip(num_boxes: int, num_classes: int | None, for_training: bool) -> None:
    saved = SavedNetwork("test_resnet", 64, num_boxes, num_classes)
    network = saved.build(for_training=for_training).eval()
    data = saved.to_bytes(network, RECIPE)
    assert SavedNetwork.describe(data) == saved
    found, again = SavedNetwork.from_bytes(data)
    assert found == saved
    assert not again.training
    assert_says_the_same(network, again, pictures(2, 64))


def test_side_branch_stays_out_of_the_file() -> None:
    saved = SavedNetwork("inception_v3", 299, 3, 3)
    network = saved.build(for_training=True).eval()
    data = saved.to_bytes(network, RECIPE)
    names = safetensors.torch.load(data).keys()
    assert not any("AuxLogits" in name or "auxiliary" in name for name in names)
    assert len(names) < len(network.state_dict())
    _, again = SavedNetwork.from_bytes(data)
    assert_says_the_same(network, again, pictures(2, 299))


# What a program does that has the package's models and nothing of what trained them.
READ_ELSEWHERE = """
import sys
for missing in ("ray", "nvidia", "psol_ray.training", "psol_ray.distributed", "psol_ray.pipeline"):
    sys.modules[missing] = None
from pathlib import Path
import safetensors.torch, torch
from psol_ray.models import SavedNetwork
path, images, answers = sys.argv[1:]
saved, network = SavedNetwork.from_bytes(Path(path).read_bytes())
assert saved == SavedNetwork("test_resnet", 64, 3, 5), saved
with torch.inference_mode():
    outputs = network(safetensors.torch.load_file(images)["images"])
safetensors.torch.save_file({"boxes": outputs.boxes_NR4, "logits": outputs.logits_NK}, answers)
"""


def test_file_is_read_where_there_is_neither_ray_nor_the_training(tmp_path: Path) -> None:
    saved = SavedNetwork("test_resnet", 64, 3, 5)
    network = saved.build(for_training=True).eval()
    images_NHWC = pictures(4, 64)
    paths = [tmp_path / name for name in ("model.safetensors", "images.safetensors", "answers.safetensors")]
    paths[0].write_bytes(saved.to_bytes(network, RECIPE))
    safetensors.torch.save_file({"images": images_NHWC}, paths[1])
    subprocess.run([sys.executable, "-c", READ_ELSEWHERE, *map(str, paths)], check=True)
    answers = safetensors.torch.load_file(paths[2])
    with torch.inference_mode():
        expected = network(images_NHWC)
    torch.testing.assert_close(answers["boxes"], expected.boxes_NR4)
    torch.testing.assert_close(answers["logits"], expected.logits_NK)


def test_recipe_can_be_read_by_any_program_for_safetensors(tmp_path: Path) -> None:
    saved = SavedNetwork("test_resnet", 64, 1, None)
    (tmp_path / "model.safetensors").write_bytes(saved.to_bytes(saved.build(), RECIPE))
    with safetensors.safe_open(tmp_path / "model.safetensors", framework="numpy") as file:
        assert json.loads(file.metadata()["recipe"]) == RECIPE


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff\xd8\xff\xe0 a photograph, say", id="bytes"),
        pytest.param(b"\x02\0\0\0\0\0\0\0[]", id="JSON of another shape"),
        pytest.param(safetensors.torch.save({"a": torch.zeros(1)}), id="no metadata"),
        pytest.param(safetensors.torch.save({"a": torch.zeros(1)}, {"format": "pt"}), id="metadata of others"),
        pytest.param(safetensors.torch.save({"a": torch.zeros(1)}, {"psol_ray": '{"depth": 3}'}), id="other fields"),
    ],
)
def test_refuses_a_foreign_file(data: bytes) -> None:
    with pytest.raises(UserError, match="found a file of another program; expected a model that `psol train` wrote"):
        SavedNetwork.from_bytes(data)


def test_a_small_input_trains_without_the_side_branch() -> None:
    small, paper = (SavedNetwork("inception_v3", size, 1, None) for size in (160, 299))
    with torch.device("meta"):
        assert paper.build(for_training=True).auxiliary_heads is not None
        network = small.build(for_training=True).train()
        assert network.auxiliary_heads is None
        assert network(torch.empty((2, 160, 160, 3), dtype=torch.uint8)).boxes_NR4.shape == (2, 1, 4)
