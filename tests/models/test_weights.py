"""Weights: every tensor is accounted for, and nothing in a file is executed."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import safetensors.torch
import timm
import torch

from psol_ray.errors import UserError
from psol_ray.models import lite0
from psol_ray.models.backbones import Backbone, find_backbone
from psol_ray.models.weights import account, load_state, read_file

State = dict[str, torch.Tensor]
LITE0 = find_backbone(lite0.BACKBONE)


def zeros(**shapes: tuple[int, ...]) -> State:
    return {name: torch.zeros(shape) for name, shape in shapes.items()}


NEEDED = zeros(a=(2, 3), b=(4,), c=(1,))


class TestAccount:
    @pytest.mark.parametrize(
        ("found", "told"),
        [
            pytest.param(zeros(a=(2, 3), c=(1,)), "(1 missing: b)", id="missing"),
            pytest.param(NEEDED | zeros(x=(1,)), "(1 surplus: x)", id="surplus"),
            pytest.param(NEEDED | zeros(a=(3, 2)), "(1 mis-shaped: a (3, 2) for (2, 3))", id="mis-shaped"),
            pytest.param(
                zeros(a=(9,), x=(1,), y=(1,), c=(1,)),
                "(1 missing: b; 2 surplus: x, y; 1 mis-shaped: a (9,) for (2, 3))",
                id="all three",
            ),
            pytest.param({}, "(3 missing: a, b, c)", id="nothing"),
        ],
    )
    def test_problems_are_listed(self, found: State, told: str) -> None:
        with pytest.raises(UserError, match=re.escape(f"weights F are those of another network {told}")):
            account(found, NEEDED, NEEDED, source="F")

    def test_long_lists_are_abridged(self) -> None:
        with pytest.raises(UserError, match=r"12 surplus: .* and 4 more"):
            account(NEEDED | {f"x{i}": torch.zeros(1) for i in range(12)}, NEEDED, NEEDED, source="F")

    @pytest.mark.parametrize(
        "found",
        [
            pytest.param(NEEDED, id="what is needed"),
            pytest.param(NEEDED | zeros(head=(7,)), id="a head of another size, which is replaced anyway"),
        ],
    )
    def test_tensors_of_the_architecture_that_are_not_needed_may_be_there(self, found: State) -> None:
        account(found, NEEDED, NEEDED | zeros(head=(5,)), source="F")

    def test_counters_of_batches_may_be_absent(self) -> None:
        needed = NEEDED | {"bn.num_batches_tracked": torch.tensor(0)}
        account(NEEDED, needed, needed, source="F")


class TestFiles:
    @pytest.fixture
    def state(self) -> State:
        return {"features.weight": torch.arange(6.0).reshape(2, 3), "features.bias": torch.ones(2)}

    @pytest.mark.parametrize(
        "wrap",
        [
            pytest.param(lambda s: s, id="plain"),
            pytest.param(lambda s: {f"module.{name}": tensor for name, tensor in s.items()}, id="DataParallel"),
            pytest.param(lambda s: {"state_dict": s, "epoch": 3}, id="checkpoint"),
            pytest.param(lambda s: {"state_dict": {f"module.{name}": tensor for name, tensor in s.items()}}, id="both"),
        ],
    )
    def test_wrappers_are_taken_off(self, state: State, wrap: Callable[[State], object], tmp_path: Path) -> None:
        torch.save(wrap(state), tmp_path / "w.pth")
        found = read_file(str(tmp_path / "w.pth"))
        assert list(found) == list(state)
        assert all(found[name].equal(tensor) for name, tensor in state.items())

    def test_prefix_of_some_names_is_part_of_them(self, state: State, tmp_path: Path) -> None:
        mixed = {**state, "module.extra": torch.zeros(1)}
        torch.save(mixed, tmp_path / "w.pth")
        assert read_file(str(tmp_path / "w.pth")).keys() == mixed.keys()

    def test_safetensors_are_read(self, state: State, tmp_path: Path) -> None:
        safetensors.torch.save_file(state, tmp_path / "w.safetensors")
        found = read_file(str(tmp_path / "w.safetensors"))
        assert found.keys() == state.keys()
        assert all(found[name].equal(tensor) for name, tensor in state.items())

    def test_code_in_a_file_is_refused_and_not_executed(self, tmp_path: Path) -> None:
        torch.save({"a": _Touch(str(tmp_path / "executed"))}, tmp_path / "w.pth")
        with pytest.raises(UserError, match=r"w\.pth' cannot be read"):
            read_file(str(tmp_path / "w.pth"))
        assert not (tmp_path / "executed").exists()

    @pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
    @pytest.mark.parametrize("content", [b"", b"garbage" * 99, b"PK\x03\x04 half an archive"])
    def test_garbage_is_told_with_its_path(self, name: str, content: bytes, tmp_path: Path) -> None:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=rf"{name}' cannot be read \(.+\); is it whole"):
            read_file(str(tmp_path / name))

    @pytest.mark.parametrize(
        ("content", "told"),
        [
            pytest.param(torch.zeros(3), "found Tensor", id="a tensor"),
            pytest.param([1, 2], "found list", id="a list"),
            pytest.param({"a": torch.zeros(1), "epoch": 3}, "found 'epoch': int in it", id="a number"),
            pytest.param({0: torch.zeros(1)}, "found 0: Tensor in it", id="a name that is none"),
        ],
    )
    def test_what_is_no_mapping_of_tensors_is_told(self, content: object, told: str, tmp_path: Path) -> None:
        torch.save(content, tmp_path / "w.pth")
        with pytest.raises(UserError, match=f"expected a mapping of names to tensors, {told}"):
            read_file(str(tmp_path / "w.pth"))

    def test_missing_file_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="no such file"):
            read_file(str(tmp_path / "w.pth"))


class _Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path(self._path),)


class TestLoad:
    @pytest.mark.parametrize(
        ("backbone", "needs_head"), [(LITE0, True), (find_backbone("resnet50"), False)], ids=["timm", "torchvision"]
    )
    def test_random_weights_are_the_same_each_time_and_without_the_last_layer(
        self, backbone: Backbone, needs_head: bool
    ) -> None:
        before = torch.random.get_rng_state()
        first, again = (load_state(backbone, "random", for_features=True) for _ in range(2))
        assert first.keys() == again.keys()
        assert all(torch.equal(again[name], tensor) for name, tensor in first.items())
        assert not any(name.startswith(f"{backbone.last_layer}.") for name in first)
        assert torch.random.get_rng_state().equal(before)
        assert needs_head == ("conv_head.weight" in first)

    def test_package_loads_as_the_backbone_it_is_of(self) -> None:
        state = load_state(LITE0, lite0.PACKAGE, for_features=False)
        theirs = lite0.load()
        assert state.keys() == {name for name in theirs if not name.startswith("classifier.")}

    def test_package_is_refused_for_another_backbone(self) -> None:
        with pytest.raises(UserError, match=r"for backbone 'resnet50' are those of another network \(\d+ missing: "):
            load_state(find_backbone("resnet50"), lite0.PACKAGE, for_features=True)

    def test_features_do_without_what_lies_behind_them_and_training_does_not(self, tmp_path: Path) -> None:
        with torch.device("meta"):
            shapes = find_backbone("vgg16").build().state_dict()
        # One stored number an entire tensor: 500 MB of VGG16 in a kilobyte.
        convolutions = {n: torch.zeros(1).expand(t.shape) for n, t in shapes.items() if n.startswith("features.")}
        torch.save(convolutions, tmp_path / "vgg16.pth")
        state = load_state(find_backbone("vgg16"), str(tmp_path / "vgg16.pth"), for_features=True)
        assert state.keys() == convolutions.keys()
        whole_trunk = load_state(find_backbone("vgg_gap"), str(tmp_path / "vgg16.pth"), for_features=False)
        assert whole_trunk.keys() == convolutions.keys()
        with pytest.raises(UserError, match=r"4 missing: classifier\.0\.weight, classifier\.0\.bias, classifier\.3"):
            load_state(find_backbone("vgg16"), str(tmp_path / "vgg16.pth"), for_features=False)
        with pytest.raises(UserError, match=r"missing: conv1\.weight.*26 surplus: features\.0\.weight"):
            load_state(find_backbone("resnet50"), str(tmp_path / "vgg16.pth"), for_features=True)

    def test_side_branch_is_kept_for_training_where_a_file_has_it(self, tmp_path: Path) -> None:
        backbone = find_backbone("inception_v3")
        with torch.device("meta"):
            shapes = backbone.build().state_dict()
        whole = {n: torch.zeros(()).expand(t.shape) for n, t in shapes.items()}
        trunk = {n for n in whole if not n.startswith(("fc.", "AuxLogits."))}
        side = {n for n in whole if n.startswith("AuxLogits.") and not n.startswith("AuxLogits.fc.")}
        path = str(tmp_path / "inception.pth")
        torch.save(whole, path)
        assert load_state(backbone, path, for_features=False).keys() == trunk | side
        assert load_state(backbone, path, for_features=True).keys() == trunk
        torch.save({n: whole[n] for n in trunk}, path)
        assert load_state(backbone, path, for_features=False).keys() == trunk
        torch.save(whole | {"AuxLogits.conv0.conv.weight": torch.zeros(1).expand(64, 768, 1, 1)}, path)
        with pytest.raises(
            UserError, match=r"1 mis-shaped: AuxLogits\.conv0\.conv\.weight \(64, 768, 1, 1\) for \(128,"
        ):
            load_state(backbone, path, for_features=False)
        assert load_state(backbone, path, for_features=True).keys() == trunk

    def test_real_vgg16_file_is_accounted_for(self, shared: Path) -> None:
        path = str(shared / "weights" / "vgg16_features.safetensors")
        state = load_state(find_backbone("vgg16"), path, for_features=True)
        assert len(state) == 26
        assert state["features.28.weight"].shape == (512, 512, 3, 3)
        with pytest.raises(UserError, match="those of another network"):
            load_state(find_backbone("resnet50"), path, for_features=True)

    def test_download_that_fails_is_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object, **__: object) -> None:
            raise OSError("network is unreachable")

        monkeypatch.setattr(timm, "create_model", refuse)
        with pytest.raises(UserError, match=r"could not be downloaded \(OSError: network is unreachable\)"):
            load_state(LITE0, "default", for_features=True)


BASE: State = {"a": torch.tensor([1.0, 2.0]), "b": torch.tensor(3)}
