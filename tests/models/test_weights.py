"""Weights of a backbone: every tensor is accounted for."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from synthetic.networks import file_of
from torch import nn

from psol_ray.errors import UserError
from psol_ray.models import lite0
from psol_ray.models.backbones import Backbone, find_backbone
from psol_ray.models.checkpoints import State
from psol_ray.models.weights import load_classifier_state, load_state

LITE0 = find_backbone(lite0.BACKBONE)


def bounded_resnet(**settings: Any) -> nn.Module:
    """A network with a bound to clamp to, as Gemma's have hundreds."""
    network = timm.create_model("test_resnet", **settings)
    network.register_buffer("upper_bound", torch.tensor(float("inf")))
    return network


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
        assert not any(name.startswith(f"{backbone.last_layers[0]}.") for name in first)
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
        build = timm.create_model

        def refuse(name: str, pretrained: bool = False) -> object:
            if pretrained:
                raise OSError("network is unreachable")
            return build(name)

        monkeypatch.setattr(timm, "create_model", refuse)
        with pytest.raises(UserError, match=r"could not be downloaded \(OSError: network is unreachable\)"):
            load_state(LITE0, "default", for_features=True)


RESNET = find_backbone("test_resnet")


@pytest.fixture(scope="module")
def resnet() -> State:
    return RESNET.build().state_dict()


class TestCheckpoint:
    """Files as training scripts leave them."""

    def test_numbers_of_other_precision_become_float32(self, resnet: State, tmp_path: Path) -> None:
        path = str(tmp_path / "w.pth")
        for dtype in (torch.bfloat16, torch.float16, torch.float64):
            torch.save({n: t.to(dtype) if t.is_floating_point() else t for n, t in resnet.items()}, path)
            state = load_state(RESNET, path, for_features=True)
            assert {tensor.dtype for tensor in state.values()} == {torch.float32, torch.int64}
            torch.testing.assert_close(state["conv1.0.weight"], resnet["conv1.0.weight"], rtol=0.01, atol=0.01)

    def test_a_head_of_other_classes_is_replaced_and_is_no_classifier_of_imagenet(
        self, resnet: State, tmp_path: Path
    ) -> None:
        path = str(tmp_path / "w.pth")
        torch.save({"model": resnet | {"fc.weight": torch.zeros(10, 64), "fc.bias": torch.zeros(10)}}, path)
        for for_features in (True, False):
            assert "fc.weight" not in load_state(RESNET, path, for_features=for_features)
        with pytest.raises(
            UserError, match=r"\(its 'model'\) for classifier 'test_resnet' .*2 mis-shaped: fc\.weight \(10, 64\) for"
        ):
            load_classifier_state(RESNET, path)

    def test_where_it_was_looked_is_told(self, resnet: State, tmp_path: Path) -> None:
        path = str(tmp_path / "w.pth")
        torch.save({"state_dict": {f"net.{n}": t for n, t in resnet.items() if n != "conv1.0.weight"}}, path)
        with pytest.raises(UserError) as complaint:
            load_state(RESNET, path, for_features=True)
        assert str(complaint.value) == (
            f"weights {path!r} (its 'state_dict', names without 'net.') for backbone 'test_resnet' are those of another"
            " network (1 missing: conv1.0.weight); give the weights of this one"
        )
        (tmp_path / "w.pth").unlink()
        with pytest.raises(UserError, match=r"^weights '.*w\.pth': no such file"):
            load_state(RESNET, path, for_features=True)
        torch.save({"epoch": 3}, path)
        with pytest.raises(
            UserError, match=r"^weights '.*w\.pth': expected a mapping of names to tensors, found 'epoch': int$"
        ):
            load_state(RESNET, path, for_features=True)

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_values_that_are_not_finite_are_told(self, value: float, resnet: State, tmp_path: Path) -> None:
        path = str(tmp_path / "w.pth")
        broken = resnet["conv1.0.weight"].clone()
        broken[0, 0, 0, 0] = value
        torch.save(resnet | {"conv1.0.weight": broken}, path)
        with pytest.raises(UserError, match=r"found values that are not finite \(conv1\.0\.weight\), which no"):
            load_state(RESNET, path, for_features=True)

    def test_bounds_may_be_infinite_and_averages_may_not(self, resnet: State, tmp_path: Path) -> None:
        bounded = replace(RESNET, build=bounded_resnet)
        path = str(tmp_path / "w.pth")
        torch.save(resnet | {"upper_bound": torch.tensor(float("inf"))}, path)
        assert load_state(bounded, path, for_features=True)["upper_bound"].isinf()
        torch.save(resnet | {"upper_bound": torch.tensor(float("nan"))}, path)
        with pytest.raises(UserError, match=r"not finite \(upper_bound\)"):
            load_state(bounded, path, for_features=True)
        broken = torch.full_like(resnet["conv1.1.running_var"], float("inf"))
        torch.save(resnet | {"conv1.1.running_var": broken}, path)
        with pytest.raises(UserError, match=r"not finite \(conv1\.1\.running_var\)"):
            load_state(RESNET, path, for_features=True)

    def test_integers_of_a_quantized_file_are_no_weights(self, resnet: State, tmp_path: Path) -> None:
        path = str(tmp_path / "w.pth")
        torch.save(resnet | {"conv1.0.weight": resnet["conv1.0.weight"].to(torch.int8)}, path)
        with pytest.raises(UserError, match=r"1 of another type: conv1\.0\.weight torch\.int8"):
            load_state(RESNET, path, for_features=True)

    def test_a_network_of_this_project_is_weights_for_another_one(self, tmp_path: Path) -> None:
        (tmp_path / "model.safetensors").write_bytes(file_of([], 3, backbone="test_resnet"))
        state = load_state(RESNET, str(tmp_path / "model.safetensors"), for_features=True)
        assert state.keys() == load_state(RESNET, "random", for_features=True).keys()
