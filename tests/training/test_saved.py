"""A network's file, and what is taken for one."""

import pytest
import safetensors.torch
import torch

from psol_ray.errors import UserError
from psol_ray.training import SavedNetwork


@pytest.mark.parametrize(("box", "num_classes"), [(True, None), (False, 3), (True, 3)])
def test_round_trip(box: bool, num_classes: int | None) -> None:
    saved = SavedNetwork("test_resnet", 64, box, num_classes)
    network = saved.build().eval()
    data = saved.to_bytes(network)
    assert SavedNetwork.describe(data) == saved
    found, again = SavedNetwork.from_bytes(data)
    assert found == saved
    assert not again.training
    images = torch.randint(0, 256, (2, 64, 64, 3), dtype=torch.uint8)
    for before, after in zip(network(images), again(images), strict=True):
        assert (before is None) == (after is None)
        assert before is None or torch.equal(before, after)


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
