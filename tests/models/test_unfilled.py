"""Networks whose weights nobody fills in."""

import subprocess
import sys

import pytest
import torch

from psol_ray.models.backbones import find_backbone
from psol_ray.models.unfilled import on_no_device, unfilled


@pytest.mark.parametrize("name", ["resnet50", "test_efficientnet", "test_vit"])
def test_a_network_has_all_its_tensors_and_draws_no_random_number(name: str) -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    backbone = find_backbone(name)
    assert torch.get_rng_state().equal(before)
    filled = backbone.build().state_dict()
    torch.manual_seed(0)
    with unfilled():
        network = backbone.build()
    assert torch.get_rng_state().equal(before)
    with on_no_device():
        shapes = backbone.build().state_dict()
    found = network.state_dict()
    for state in (found, shapes):
        assert {n: (t.shape, t.dtype) for n, t in state.items()} == {n: (t.shape, t.dtype) for n, t in filled.items()}
    assert all(tensor.is_meta for tensor in shapes.values())
    # What the block has left is as ever.
    torch.manual_seed(0)
    assert all(tensor.equal(filled[name]) for name, tensor in backbone.build().state_dict().items())


def test_neither_a_timm_network_nor_its_shapes_load_the_compiler() -> None:
    code = (
        "import sys; from psol_ray.models.backbones import find_backbone;"
        "from psol_ray.models.unfilled import on_no_device;"
        "backbone = find_backbone('tf_efficientnet_lite0'); backbone.build()\n"
        "with on_no_device(): backbone.build(); find_backbone('resnet50').build()\n"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
