"""A network's file, and what is taken for one."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors
import safetensors.torch
import torch
from synthetic.networks import file_of, pictures

from psol_ray.errors import UserError
from psol_ray.models.networks import PsolNetwork
from psol_ray.models.saved import NetworkFile, SavedNetwork
from psol_ray.tables import RunDir

RECIPE = {"epochs": 6, "learning_rate": 1e-3, "min_crop_area": None, "note": 'é "quoted"', "class_names": ["a", "b"]}


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


def test_layers_that_share_a_tensor_are_saved() -> None:
    saved = SavedNetwork("test_resnet", 64, 1, None)
    network = saved.build().eval()
    block = network.trunk.layer1[0]
    block.bn2.weight = block.bn1.weight
    _, again = SavedNetwork.from_bytes(saved.to_bytes(network, RECIPE))
    assert_says_the_same(network, again, pictures(2, 64))


def test_side_branch_stays_out_of_the_file() -> None:
    saved = SavedNetwork("inception_v3", 299, 3, 3)
    network = saved.build(for_training=True).eval()
    data = saved.to_bytes(network, RECIPE)
    names = safetensors.torch.load(data).keys()
    assert not any("AuxLogits" in name or "auxiliary" in name for name in names)
    assert len(names) < len(network.state_dict())
    _, again = SavedNetwork.from_bytes(data)
    assert_says_the_same(network, again, pictures(2, 96))


# What a program does that has the package's models and nothing of what trained them.
READ_ELSEWHERE = """
import sys
for missing in ("ray", "nvidia", "psol_ray.training", "psol_ray.distributed", "psol_ray.pipeline"):
    sys.modules[missing] = None
from pathlib import Path
import safetensors.torch, torch
from psol_ray.models.saved import SavedNetwork
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


def test_files_of_equal_networks_are_equal_whatever_the_order_of_their_metadata() -> None:
    """Safetensors leaves that order to chance: of ten files, all would agree in one case of 500."""
    saved = SavedNetwork("test_resnet", 64, 1, None)
    network = saved.build()
    assert len({saved.to_bytes(network, RECIPE) for _ in range(10)}) == 1


FOREIGN = pytest.mark.parametrize(
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


@FOREIGN
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


EXPECTED = "expected a model.safetensors of `psol train localizer`"
CENTRE = [[0.25, 0.25, 0.5, 0.5]]


@pytest.fixture(scope="module")
def model() -> bytes:
    return file_of(CENTRE)


class TestNetworkFile:
    """A file that a setting names, or that a training left."""

    @pytest.mark.parametrize("scheme", ["", "file://"])
    def test_a_setting_names_it_by_a_path_or_a_uri(self, model: bytes, tmp_path: Path, scheme: str) -> None:
        path = tmp_path / "model.safetensors"
        path.write_bytes(model)
        file = NetworkFile.read("boxes.localizer.path", f"{scheme}{path}", EXPECTED)
        assert file.where == f"boxes.localizer.path: '{scheme}{path}'"
        assert file.saved == SavedNetwork("test_efficientnet", 64, 1, None)
        boxes_NR4 = file.load()(pictures(2, 64)).boxes_NR4
        torch.testing.assert_close(boxes_NR4, torch.tensor([CENTRE, CENTRE]))

    def test_a_training_s_is_called_by_its_path(self, model: bytes, tmp_path: Path) -> None:
        stage = RunDir(str(tmp_path)).stage("localizer")
        stage.write_bytes("best.safetensors", model)
        file = NetworkFile.of_stage(stage, "best.safetensors", EXPECTED, "; train")
        assert (file.where, file.data) == (f"{tmp_path}/localizer/best.safetensors", model)

    def test_none_is_told_with_what_to_do(self, tmp_path: Path) -> None:
        with pytest.raises(UserError) as complaint:
            NetworkFile.read("boxes.localizer.path", f"{tmp_path}/none", EXPECTED)
        assert (
            str(complaint.value) == f"boxes.localizer.path: found no file '{tmp_path}/none', {EXPECTED}; fix the path"
        )
        with pytest.raises(UserError) as complaint:
            NetworkFile.of_stage(RunDir(str(tmp_path)).stage("joint"), "model.safetensors", EXPECTED, "; run `psol`")
        assert str(complaint.value) == f"{tmp_path}/joint: found no model.safetensors; run `psol`"

    @FOREIGN
    def test_a_foreign_one_is_told_by_its_name(self, data: bytes) -> None:
        file = NetworkFile("setting: 'path'", data, EXPECTED)
        for use in (lambda: file.saved, file.load):
            with pytest.raises(UserError, match=r"^setting: 'path': found a file of another program; .*; give another"):
                use()

    @pytest.mark.parametrize("end", [-1, -1000])
    def test_one_that_is_cut_short_says_what_it_is_and_cannot_be_loaded(self, model: bytes, end: int) -> None:
        file = NetworkFile("setting: 'path'", model[:end], EXPECTED)
        assert file.saved.num_boxes == 1
        with pytest.raises(UserError) as complaint:
            file.load()
        told = str(complaint.value)
        assert told.startswith("setting: 'path': found a file that is not whole (")
        assert told.endswith(f"), {EXPECTED}; copy it again, or train anew")

    def test_one_whose_tensors_are_of_another_network_is_not_whole(self, model: bytes) -> None:
        # The same length, so that the header is still where it says.
        file = NetworkFile("here", model.replace(b'num_boxes\\": 1', b'num_boxes\\": 3'), EXPECTED)
        assert file.saved.num_boxes == 3
        with pytest.raises(UserError, match=r"^here: found a file that is not whole \(Error.* size mismatch"):
            file.load()

    def test_its_hash_is_that_of_its_content(self, model: bytes) -> None:
        here, there = NetworkFile("here", model, EXPECTED), NetworkFile("there", model, EXPECTED)
        assert here.hash == there.hash
        assert len(here.hash) == 16
        assert NetworkFile("here", file_of([[0.25, 0.25, 0.5, 0.25]]), EXPECTED).hash != here.hash

    def test_what_it_is_is_known_without_torch(self, model: bytes, tmp_path: Path) -> None:
        (tmp_path / "model.safetensors").write_bytes(model)
        code = (
            "import sys; sys.modules['torch'] = None\n"
            "from psol_ray.models.saved import NetworkFile\n"
            f"file = NetworkFile.read('x', {str(tmp_path / 'model.safetensors')!r}, '')\n"
            "print(file.saved.backbone, file.hash)"
        )
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert found.stdout == f"test_efficientnet {NetworkFile('', model, '').hash}\n"
