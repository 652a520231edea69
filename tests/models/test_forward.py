from collections.abc import Callable

import pytest
import torch

from psol_ray.models.backbones import find_backbone
from psol_ray.models.features import Extract, FeatureExtractor
from psol_ray.models.forward import _candidates, choose, full_batches, make_forward
from psol_ray.models.weights import load_state

CPU = torch.device("cpu")
IMAGES = torch.randint(256, (12, 8, 8, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def exact(images: torch.Tensor) -> torch.Tensor:
    return images.float() / 255 + 1


def plain(images: torch.Tensor) -> torch.Tensor:
    return exact(images).bfloat16()


def right(images: torch.Tensor) -> torch.Tensor:
    """Rounded, but elsewhere."""
    return (exact(images) - 1e-3).bfloat16()


def wrong(images: torch.Tensor) -> torch.Tensor:
    return plain(images) * 1.02


def nan_in_the_last(images: torch.Tensor) -> torch.Tensor:
    found = plain(images).clone()
    found[-1, 0, 0, 0] = float("nan")
    return found


def raising(_: torch.Tensor) -> torch.Tensor:
    raise RuntimeError("Failed to find C compiler.\nPlease specify via CC environment variable.")


def not_installed() -> Extract:
    raise ImportError("No module named 'triton'")


def made(extract: Extract) -> Callable[[], Extract]:
    return lambda: extract


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (made(wrong), "off, where bfloat16 itself rounds by"),
        (made(nan_in_the_last), "nan off"),
        (made(raising), "RuntimeError: Failed to find C compiler."),
        (not_installed, "ImportError: No module named 'triton'"),
    ],
)
def test_a_candidate_that_is_not_the_network_costs_a_line_and_the_next_is_tried(
    make: Callable[[], Extract], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert choose([("one way", make), ("another", made(right))], plain, exact, IMAGES) is right
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot run one way here" in line
    assert reason in line
    assert choose([("one way", make)], plain, exact, IMAGES) is plain


def test_the_first_that_agrees_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    assert choose([("one way", made(right)), ("another", made(plain))], plain, exact, IMAGES) is right
    assert not capsys.readouterr().err


@pytest.mark.parametrize(("name", "ways"), [("vgg16", 2), ("test_resnet", 0)])
def test_a_network_that_is_not_traced_has_no_other_way(name: str, ways: int) -> None:
    backbone = find_backbone(name)
    extractor = FeatureExtractor(backbone, load_state(backbone, "random", for_features=True))
    assert len(_candidates(extractor)) == ways


def test_smaller_batches_are_filled_up() -> None:
    seen: list[int] = []

    def forward(images: torch.Tensor) -> torch.Tensor:
        seen.append(len(images))
        return images.float().mean(dim=(1, 2), keepdim=True)

    full = full_batches(forward, 12)
    for number in (12, 5, 1):
        assert torch.equal(full(IMAGES[:number]), forward(IMAGES)[:number])
    assert set(seen) == {12}


@torch.no_grad()
def test_on_a_cpu_it_is_the_extractor_itself() -> None:
    backbone = find_backbone("test_resnet")
    extractor = FeatureExtractor(backbone, load_state(backbone, "random", for_features=True))
    forward = make_forward(extractor, CPU, precision="float32", batch_size=12, input_size=64)
    images = torch.randint(256, (3, 64, 64, 3), dtype=torch.uint8)
    assert torch.equal(forward(images), extractor(images))


@pytest.mark.slow
@torch.no_grad()
def test_compiled_network_gives_the_same_map_for_full_and_for_smaller_batches() -> None:
    backbone = find_backbone("test_resnet")
    extract = FeatureExtractor(backbone, load_state(backbone, "random", for_features=True))
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    fast = make_forward(extract, CPU, precision="float32", batch_size=4, input_size=64, compiled=True)
    for number in (4, 1, 3, 4):
        images = torch.randint(256, (number, 64, 64, 3), dtype=torch.uint8)
        found = fast(images)
        assert found.shape[0] == number
        torch.testing.assert_close(found, extract(images), rtol=1e-4, atol=1e-4)
    assert (
        len(torch._dynamo.utils.counters["stats"]) == 0 or torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    )
