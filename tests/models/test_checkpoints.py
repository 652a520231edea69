"""Which tensors of a checkpoint are a network's, and which are preferred."""

import argparse
import io
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from psol_ray.errors import UserError
from psol_ray.models.backbones import find_backbone
from psol_ray.models.checkpoints import State, Wanted, find_network
from psol_ray.models.unpickling import read_pickled


def zeros(**shapes: tuple[int, ...]) -> State:
    return {name: torch.zeros(shape) for name, shape in shapes.items()}


def prefixed(prefix: str, state: State) -> State:
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


class TestWanted:
    NEEDED = zeros(a=(2, 3), b=(4,), c=(1,))

    @pytest.mark.parametrize(
        ("found", "told"),
        [
            pytest.param(NEEDED, "", id="what is needed"),
            pytest.param(NEEDED | zeros(head=(7,)), "", id="a head of another size, which is replaced anyway"),
            pytest.param(NEEDED | {"head.0.weight": torch.ones(1)}, "", id="a head of other layers"),
            pytest.param(NEEDED | zeros(side=(2,)), "", id="a side branch"),
            pytest.param(NEEDED | zeros(side=(3,)), "1 mis-shaped: side (3,) for (2,)", id="another side branch"),
            pytest.param(zeros(a=(2, 3), c=(1,)), "1 missing: b", id="missing"),
            pytest.param(NEEDED | zeros(x=(1,)), "1 surplus: x", id="surplus"),
            pytest.param(NEEDED | zeros(a=(3, 2)), "1 mis-shaped: a (3, 2) for (2, 3)", id="mis-shaped"),
            pytest.param(
                NEEDED | {"c": torch.zeros(1, dtype=torch.uint8)},
                "1 of another type: c torch.uint8 for torch.float32",
                id="integers",
            ),
            pytest.param(
                zeros(a=(9,), x=(1,), y=(1,), c=(1,)),
                "1 missing: b; 2 surplus: x, y; 1 mis-shaped: a (9,) for (2, 3)",
                id="all three",
            ),
            pytest.param({}, "3 missing: a, b, c", id="nothing"),
            pytest.param(
                NEEDED | prefixed("decoder_blocks.", NEEDED) | zeros(mask_token=(1,)), "", id="masked pretraining"
            ),
        ],
    )
    def test_misfits_are_listed(self, found: State, told: str) -> None:
        known = self.NEEDED | zeros(head=(5,), side=(2,))
        assert Wanted(self.NEEDED, known, zeros(side=(2,)), ("head",)).misfits(found) == told

    def test_long_lists_are_abridged(self) -> None:
        surplus = {f"x{i}": torch.zeros(1) for i in range(12)}
        assert re.fullmatch(
            r"12 surplus: .* and 4 more", Wanted(self.NEEDED, self.NEEDED).misfits(self.NEEDED | surplus)
        )

    def test_counters_of_batches_may_be_absent(self) -> None:
        needed = self.NEEDED | {"bn.num_batches_tracked": torch.tensor(0)}
        assert Wanted(needed, needed).misfits(self.NEEDED) == ""


class Net(nn.Module):
    """Two layers, one inside the other, and a buffer that is not saved."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 2, 1)
        self.block = nn.Sequential(nn.BatchNorm2d(2))
        self.register_buffer("table", torch.zeros(3), persistent=False)


torch.manual_seed(0)
NET = Net()
OURS: State = NET.state_dict()
OTHER: State = {name: tensor + 1 for name, tensor in OURS.items()}
EXTRA = zeros(queue=(5,))
AVERAGED = {"n_averaged": torch.tensor(3), **prefixed("module.", OTHER)}


def found_in(content: Any) -> State:
    return find_network(content, Wanted(OURS, OURS), NET).tensors


def assert_ours(found: State) -> None:
    assert found.keys() == OURS.keys()
    assert all(found[name].equal(tensor) for name, tensor in OURS.items())


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(OURS, id="plain"),
        pytest.param({"state_dict": OURS, "args": argparse.Namespace(), "state_dict_ema": OTHER}, id="timm"),
        pytest.param({"model": OURS, "optimizer": {"state": {0: OTHER}}, "model_ema": AVERAGED}, id="torchvision"),
        pytest.param({"model": OURS, "model_ema": OTHER, "epoch": 3}, id="DeiT"),
        pytest.param(
            {
                "state_dict": {
                    **prefixed("model.", OURS),
                    **prefixed("model_ema.module.", OTHER),
                    "loss.weight": EXTRA["queue"],
                }
            },
            id="Lightning",
        ),
        pytest.param(
            {"student": prefixed("module.backbone.", OTHER), "teacher": {**prefixed("backbone.", OURS), **EXTRA}},
            id="DINO",
        ),
        pytest.param(
            {"model": {**prefixed("teacher.backbone.", OURS), **prefixed("student.backbone.", OTHER)}}, id="DINOv2"
        ),
        pytest.param(
            {"state_dict": {**prefixed("module.encoder_q.", OURS), **prefixed("module.encoder_k.", OTHER), **EXTRA}},
            id="MoCo",
        ),
        pytest.param({"arch": "x", "module": OURS, "is_pretrain": True}, id="SparK, DeepSpeed"),
        pytest.param({"state_dict_ema": OURS}, id="nothing but an average"),
        pytest.param({"n_averaged": torch.tensor(3), **prefixed("module.", OURS)}, id="AveragedModel"),
        pytest.param(prefixed("_orig_mod.", OURS), id="compiled"),
        pytest.param(prefixed("module._orig_mod.", OURS), id="compiled and distributed"),
        pytest.param({"state_dict": prefixed("model._orig_mod.module.", OURS)}, id="all of them"),
        pytest.param(
            prefixed(
                "_fsdp_wrapped_module.",
                {n.replace("block.", "block._fsdp_wrapped_module."): t for n, t in OURS.items()},
            ),
            id="FSDP",
        ),
        pytest.param(prefixed("timm_model.", OURS), id="a prefix of anybody's"),
        pytest.param({"net": {"weights": {"deep": OURS}}}, id="keys of anybody's"),
        pytest.param((3, OURS), id="a tuple"),
        pytest.param({**OURS, "epoch": 3}, id="a number among them"),
        pytest.param({"a": prefixed("net.", OURS), "b": dict(OURS)}, id="twice the same"),
        pytest.param({**OURS, **dict(NET.named_parameters())}, id="parameters"),
    ],
)
def test_a_network_is_found(content: Any) -> None:
    assert_ours(found_in(content))


@pytest.mark.parametrize(
    "wrap",
    [lambda net: net, nn.DataParallel, lambda net: {"model": net, "ema": None}],
    ids=["whole", "parallel", "YOLO"],
)
def test_of_a_network_saved_as_an_object_its_state_is_read(wrap: Callable[[nn.Module], Any]) -> None:
    file = io.BytesIO()
    torch.save(wrap(NET), file)
    file.seek(0)
    assert_ours(found_in(read_pickled(file)))


def test_the_place_is_told() -> None:
    found = find_network({"a": {"b": prefixed("module.net.", OURS)}}, Wanted(OURS, OURS), NET)
    assert found.place == "its 'a.b', names without 'module.net.'"
    assert find_network(OURS, Wanted(OURS, OURS), NET).place == ""


def test_two_networks_of_which_none_is_preferred_are_refused() -> None:
    with pytest.raises(UserError, match=r"^found two such networks that differ \(its 'left'; its 'right'\), ex"):
        found_in({"left": OURS, "right": OTHER})


def test_where_nothing_fits_what_comes_nearest_is_given() -> None:
    nearly = {name: tensor for name, tensor in OURS.items() if name != "stem.bias"}
    found = find_network({"state_dict": prefixed("net.", nearly), "other": EXTRA}, Wanted(OURS, OURS), NET)
    assert (found.keys, found.prefix, found.tensors.keys()) == (("state_dict",), "net.", nearly.keys())


@pytest.mark.parametrize(
    ("content", "told"),
    [
        pytest.param(torch.zeros(3), "Tensor", id="a tensor"),
        pytest.param(3, "int", id="a number"),
        pytest.param({}, "an empty one", id="nothing"),
        pytest.param({"epoch": 3, "model": None}, "'epoch': int, 'model': NoneType", id="no tensors"),
        pytest.param({0: torch.zeros(1)}, "0: Tensor", id="names that are none"),
    ],
)
def test_what_holds_no_tensors_with_names_is_told(content: object, told: str) -> None:
    with pytest.raises(UserError, match=f"^expected a mapping of names to tensors, found {told}$"):
        found_in(content)


class TestNamesOfTheAuthors:
    """timm knows how some networks are named by those who published them."""

    @staticmethod
    def published(name: str) -> str:
        name = re.sub(r"^stem\.", "downsample_layers.0.", name)
        name = re.sub(r"^stages\.(\d)\.downsample\.", r"downsample_layers.\1.", name)
        name = re.sub(r"^stages\.(\d)\.blocks\.", r"stages.\1.", name)
        for ours, theirs in (
            ("conv_dw", "dwconv"),
            ("mlp.fc1", "pwconv1"),
            ("mlp.fc2", "pwconv2"),
            ("head.norm", "norm"),
        ):
            name = name.replace(ours, theirs)
        return name.replace("head.fc", "head")

    def test_they_are_read(self) -> None:
        network = find_backbone("test_convnext").build()
        state = network.state_dict()
        content = {"model": {self.published(name): tensor for name, tensor in state.items()}}
        assert not state.keys() & content["model"].keys()
        found = find_network(content, Wanted(state, state), network).tensors
        assert found.keys() == state.keys()
        assert all(found[name].equal(tensor) for name, tensor in state.items())

    def test_tensors_of_another_shape_are_not_made_to_fit(self) -> None:
        backbone = find_backbone("test_vit")
        network = backbone.build()
        state = network.state_dict()
        larger = state | {"pos_embed": torch.zeros(1, 12 * 12 + 1, state["pos_embed"].shape[2])}
        wanted = Wanted(state, state)
        assert "mis-shaped: pos_embed" in wanted.misfits(find_network(larger, wanted, network).tensors)
