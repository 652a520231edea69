"""The weights out of a package: names, and that they see what is in a photograph."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import skimage
import timm
import torch

from psol_ray.errors import UserError
from psol_ray.images.pillow import PillowDecoder
from psol_ray.models import lite0
from psol_ray.models.backbones import find_backbone
from psol_ray.models.features import Normalize

pytestmark = pytest.mark.skipif(
    find_spec(lite0.PACKAGE.replace("-", "_")) is None, reason=f"{lite0.PACKAGE} is not installed"
)


def test_names_and_shapes_are_timms() -> None:
    with torch.device("meta"):
        wanted = timm.create_model(lite0.BACKBONE).state_dict()
    found = lite0.load()
    assert {n: tuple(t.shape) for n, t in found.items() if not n.endswith("num_batches_tracked")} == {
        n: tuple(t.shape) for n, t in wanted.items() if not n.endswith("num_batches_tracked")
    }
    assert found.keys() <= wanted.keys()


@pytest.mark.parametrize(
    ("theirs", "timms"),
    [
        ("_conv_stem.weight", "conv_stem.weight"),
        ("_bn1.running_var", "bn2.running_var"),
        ("_fc.bias", "classifier.bias"),
        ("_blocks.0._project_conv.weight", "blocks.0.0.conv_pw.weight"),
        ("_blocks.1._project_conv.weight", "blocks.1.0.conv_pwl.weight"),
        ("_blocks.15._bn2.bias", "blocks.6.0.bn3.bias"),
    ],
)
def test_tensors_are_renamed(theirs: str, timms: str) -> None:
    assert lite0.to_timm_name(theirs) == timms


@pytest.mark.parametrize(
    ("photograph", "classes"),
    [
        pytest.param("chelsea.png", range(281, 286), id="a cat"),
        pytest.param("coffee.png", (504, 967, 968), id="a cup of coffee"),
    ],
)
def test_photographs_are_classified_rightly(photograph: str, classes: tuple[int, ...]) -> None:
    backbone = find_backbone(lite0.BACKBONE)
    network = backbone.build().eval()
    network.load_state_dict(lite0.load(), strict=False)
    path = str(Path(skimage.__file__).parent / "data" / photograph)
    decoded = PillowDecoder(backbone.input_size).decode([path])
    with torch.inference_mode():
        logits = network(Normalize(backbone.mean, backbone.std)(decoded.images_NHWC))
    assert logits.argmax().item() in classes


def test_package_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lite0, "find_spec", lambda _: None)
    with pytest.raises(UserError, match=f"run `pip install {lite0.PACKAGE}`"):
        lite0.load()
