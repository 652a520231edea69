"""The five lines of docs/predict.md load what training leaves, and say what the network here says."""

import re
from pathlib import Path
from typing import Any

import pytest
import timm
import torch

from psol_ray.models.saved import SavedNetwork

DOCUMENT = Path(__file__).parents[2] / "docs/predict.md"
SIDE = 96
# torchvision's Inception needs as much.
SIDES = {"inception_v3": 128}


def code() -> str:
    section = DOCUMENT.read_text().partition("## Five lines")[2]
    found = re.search(r"```python\n(.*?)```", section, re.S)
    assert found is not None
    return found[1]


def trunks() -> list[tuple[str, str, str]]:
    rows = re.findall(r"^\| `(\w+)`[^|]* \| `(.*?)` \| (\d+) \|$", DOCUMENT.read_text(), re.M)
    assert len(rows) == 5
    return [("resnet50", "trunk = models.resnet50(); trunk.fc = nn.Identity()", "2048"), *rows]


def test_they_are_five_lines() -> None:
    _, _, statements = code().partition("\n\n")
    assert len(statements.splitlines()) == 5


@pytest.mark.slow
@pytest.mark.parametrize(("backbone", "trunk", "features"), trunks(), ids=[row[0] for row in trunks()])
def test_they_load_a_localizer(tmp_path: Path, backbone: str, trunk: str, features: str) -> None:
    side = SIDES.get(backbone, SIDE)
    saved = SavedNetwork(backbone, side, 1, None)
    torch.manual_seed(0)
    network = saved.build().eval()
    path = tmp_path / "model.safetensors"
    path.write_bytes(saved.to_bytes(network, {}))
    text = code().replace("2048", features).replace('"model.safetensors"', repr(str(path)))
    if backbone != "resnet50":
        text = re.sub(r"trunk = .*\ntrunk\.fc = .*\n", lambda _: f"{trunk}\n", text)
    made: dict[str, Any] = {"timm": timm}
    exec(text, made)
    images = torch.randint(0, 256, (2, side, side, 3), dtype=torch.uint8)
    seen = network.normalize(images)
    with torch.no_grad():
        expected = network(images).boxes_NR4
        assert expected is not None
        torch.testing.assert_close(made["box"](made["trunk"](seen)), expected[:, 0], rtol=1e-4, atol=1e-5)
