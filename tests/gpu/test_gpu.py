"""The project's own modules on a GPU against themselves on a CPU. Needs neither Ray nor DALI.

    python -m pytest -q -s tests/gpu/test_gpu.py

With PSOL_TEST_DEVICE=cpu it can be tried where there is no GPU. Lines that start with `NOTE` are findings, not faults.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from psol_ray.generators.ddt.class_boxes import locate_class
from psol_ray.generators.ddt.moments import Moments
from psol_ray.generators.ddt.stream import FeatureStream
from psol_ray.images.batch import DecodedBatch
from psol_ray.images.batch_stream import BatchStream
from psol_ray.images.pillow import PillowDecoder
from psol_ray.models.backbones import find_backbone
from psol_ray.models.device import autocast
from psol_ray.models.features import FeatureExtractor
from psol_ray.models.forward import make_forward
from psol_ray.models.networks import PsolNetwork
from psol_ray.models.weights import load_state
from psol_ray.tables.schemas import boxes_array
from psol_ray.training.loader import TrainingBatch
from psol_ray.training.settings import TrainConfig
from psol_ray.training.trainer import Trainer

DEVICE = torch.device(os.environ.get("PSOL_TEST_DEVICE", "cuda:0"))
pytestmark = pytest.mark.skipif(
    DEVICE.type == "cuda" and not torch.cuda.is_available(),
    reason="there is no GPU here; PSOL_TEST_DEVICE=cpu tries these tests on a CPU",
)
CPU = torch.device("cpu")
Network = Callable[[torch.Tensor], torch.Tensor]
SIDE = 96


@pytest.fixture(scope="module")
def extractor() -> FeatureExtractor:
    backbone = find_backbone("vgg16")
    return FeatureExtractor(backbone, load_state(backbone, "random", for_features=True)).to(DEVICE)


@pytest.fixture(autouse=True)
def true_float32() -> Iterator[None]:
    torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cudnn.allow_tf32 = True


class Pictures:
    """A decoder of files named by numbers: noise with a bright square, on the device, the same for a name each time."""

    def __init__(self, device: torch.device, seconds: float = 0.0) -> None:
        self.device, self.seconds = device, seconds

    def decode(self, paths: Sequence[str], *_: object) -> DecodedBatch:
        time.sleep(self.seconds * np.random.default_rng().random())
        return DecodedBatch(
            torch.stack([picture(int(path)) for path in paths]).to(self.device), np.ones(len(paths), bool)
        )


def picture(number: int) -> torch.Tensor:
    rng = np.random.default_rng(number)
    pixels = rng.integers(0, 60, (SIDE, SIDE, 3), np.uint8)
    x, y = rng.integers(8, 40, 2)
    pixels[y : y + 40, x : x + 40] += 180
    return torch.from_numpy(pixels)


def rows(count: int, label: int = 0) -> pa.Table:
    splits = ["train"] * (count * 3 // 4) + ["test"] * (count - count * 3 // 4)
    return pa.table(
        {
            "image_id": [str(1000 * label + i) for i in range(count)],
            "label": pa.array([label] * count, pa.int32()),
            "class_name": [f"class {label}"] * count,
            "split": splits,
            "width": pa.array([400] * count, pa.int32()),
            "height": pa.array([300] * count, pa.int32()),
        }
    )


def run(
    network: Network, device: torch.device, classes: Sequence[pa.Table], batch_size: int, **options: Any
) -> list[np.ndarray]:
    """Boxes of each class, two at a time, two decoders of uneven speed."""
    stream = FeatureStream(
        [Pictures(device, 0.01), Pictures(device, 0.01)], torch.no_grad()(network), batch_size, device
    )

    def one(images: pa.Table) -> np.ndarray:
        paths = images["image_id"].to_pylist()
        read = partial(stream.read, paths)
        return boxes_array(locate_class(images, read, input_size=SIDE, upsample="bilinear", **options)["boxes"])

    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(one, classes))
    stream.close()
    return found


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_moments_are_the_cpus(dtype: torch.dtype) -> None:
    found = []
    for device in (CPU, DEVICE):
        generator = torch.Generator().manual_seed(0)
        moments = Moments.empty(512, device)
        for _ in range(5):
            moments.update((torch.randn(3000, 512, generator=generator) + 3).relu().to(dtype).to(device))
        found.append(moments.component())
    here, there = found
    # On a GPU by products of bfloat16 in two parts, and by an iteration on a stream of its own.
    assert abs(float(here.direction_C @ there.direction_C)) > 1 - 1e-7
    assert there.explained_variance_ratio == pytest.approx(here.explained_variance_ratio, rel=1e-5)


def test_boxes_in_float32_are_the_cpus(extractor: FeatureExtractor) -> None:
    classes = [rows(70, 0), rows(33, 1)]
    there = run(extractor, DEVICE, classes, 16)
    here = run(extractor.cpu(), CPU, classes, 16)
    extractor.to(DEVICE)
    same = np.concatenate([(np.abs(a - b) < 5).all(axis=1) for a, b in zip(here, there, strict=True)])
    print(f"\nNOTE float32 on GPU and CPU: {same.mean():.1%} of boxes within 5 pixels")
    assert same.mean() > 0.97


def test_stream_under_load_gives_the_same_boxes_each_time(extractor: FeatureExtractor) -> None:
    """A race between decoders, network and readers would show as boxes that change."""
    classes = [rows(64, label) for label in range(6)]  # batches are full whatever their order
    first = run(extractor, DEVICE, classes, 32)
    for _ in range(4):
        for a, b in zip(first, run(extractor, DEVICE, classes, 32), strict=True):
            assert (a == b).all()


def test_two_jobs_at_once_have_the_outcomes_of_one_after_the_other(extractor: FeatureExtractor) -> None:
    stream = BatchStream([Pictures(DEVICE, 0.01).decode for _ in range(2)], 16, DEVICE)
    jobs = [[str(i) for i in range(start, start + 40)] for start in (0, 40, 80)]

    @torch.no_grad()
    def network(_: slice, decoded: DecodedBatch) -> torch.Tensor:
        return extractor(decoded.images_NHWC).mean((1, 2))

    def one(paths: Sequence[str]) -> torch.Tensor:
        return torch.cat(stream.map(paths, network, lambda _: None)).cpu()

    alone = [one(job) for job in jobs]
    with ThreadPoolExecutor(2) as threads:
        for expected, found in zip(alone * 2, threads.map(one, jobs * 2), strict=True):
            assert torch.equal(found, expected)


def test_class_read_twice_has_the_boxes_of_one_kept(extractor: FeatureExtractor) -> None:
    classes = [rows(150)]
    (kept,), (again,) = (run(extractor, DEVICE, classes, 32, max_bytes=b) for b in (float("inf"), 0))
    print(f"\nNOTE read twice: {(kept == again).all(axis=1).mean():.1%} of boxes the same")
    assert np.abs(kept - again).mean() < 5


def test_features_do_not_depend_on_the_batch(extractor: FeatureExtractor) -> None:
    images = torch.stack([picture(i) for i in range(64)]).to(DEVICE)
    with torch.no_grad(), autocast(DEVICE, "bfloat16"):
        whole = extractor(images)
        turned = extractor(images.roll(7, 0)).roll(-7, 0)
        told = {n: torch.equal(extractor(images[:n].contiguous()), whole[:n]) for n in (63, 48, 17, 1)}
    print(f"\nNOTE bit for bit: other places in a batch {torch.equal(turned, whole)}, smaller batches {told}")
    assert torch.allclose(turned, whole, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", ["vgg16", "resnet50", "inception_v3", "densenet161"])
def test_projects_network_is_the_plain_one(name: str, compiled: bool, capsys: pytest.CaptureFixture[str]) -> None:
    if compiled and name != "vgg16":
        pytest.skip("compiling takes long, and is no default")
    backbone = find_backbone(name)
    extractor = FeatureExtractor(backbone, load_state(backbone, "random", for_features=True)).to(DEVICE)
    images = torch.stack([picture(i) for i in range(16)]).to(DEVICE)
    with torch.no_grad():
        fast = make_forward(extractor, DEVICE, precision="auto", batch_size=16, input_size=SIDE, compiled=compiled)
        expected = extractor(images)
        with autocast(DEVICE, "auto"):
            rounding = (extractor(images).float() - expected).norm() / expected.norm()
        for count in (16, 5):
            found = fast(images[:count]).float()
            assert len(found) == count
            assert (found - expected[:count]).norm() / expected[:count].norm() < 3 * rounding + 1e-6
            print(f"\nNOTE {name}: bit for bit in a smaller batch: {torch.equal(found, fast(images)[:count].float())}")
    # A network that falls back to the plain one says so.
    assert "cannot run" not in capsys.readouterr().err


@pytest.mark.skipif(DEVICE.type != "cuda", reason="Triton's kernels run on a GPU alone")
@pytest.mark.parametrize(("window", "stride", "padding"), [(2, 2, 0), (3, 2, 1), (3, 2, 0)])
def test_pools_of_our_own_are_pytorchs(window: int, stride: int, padding: int) -> None:
    from psol_ray.models.triton_pool import triton_max_pool

    maps = torch.randn(3, 64, 29, 30, device=DEVICE).bfloat16().to(memory_format=torch.channels_last)
    maps[0, 3, 4, 5] = float("nan")
    found = triton_max_pool(maps, (window, window), (stride, stride), (padding, padding))
    expected = torch.nn.functional.max_pool2d(maps, window, stride, padding)
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)


def test_pillow_decodes_to_the_gpu(tmp_path: Path) -> None:
    from PIL import Image

    for i in range(5):
        Image.fromarray(picture(i).numpy()).save(tmp_path / f"{i}.png")
    gpu = DEVICE.index if DEVICE.type == "cuda" else None
    found = PillowDecoder(SIDE, num_threads=4, gpu=gpu).decode([str(tmp_path / f"{i}.png") for i in range(5)])
    assert found.images_NHWC.device.type == DEVICE.type
    assert torch.equal(found.images_NHWC.cpu(), torch.stack([picture(i) for i in range(5)]))


def batches(count: int, pieces: int) -> list[TrainingBatch]:
    labels = torch.arange(count) % 2
    told = []
    for rows_P in torch.arange(count).chunk(pieces):
        images = torch.stack([picture(int(i)) for i in rows_P])
        boxes = torch.full((len(rows_P), 4), 0.4)
        ones = torch.ones(len(rows_P))
        told.append(TrainingBatch(*(t.to(DEVICE) for t in (images, boxes, labels[rows_P], ones.bool()))))
    return told


def trainer(name: str = "vgg_gap", **options: Any) -> Trainer:
    torch.manual_seed(0)
    network = PsolNetwork(find_backbone(name), num_boxes=1, num_classes=2).to(DEVICE)
    config = TrainConfig(batch_size=32, learning_rate=1e-3, **options)
    return Trainer(network, config, steps_per_epoch=10, autocast=partial(autocast, DEVICE, "auto", training=True))


@pytest.mark.parametrize("name", ["vgg_gap", "resnet50"])
def test_training_in_bfloat16_makes_the_loss_smaller(name: str) -> None:
    found = trainer(name, ema_decay=0.9)
    for _ in range(12):
        found.step(batches(32, 1))
    losses = found.take_losses()
    found.check_weights()
    assert losses[-1] < losses[0]
    again = trainer(name, ema_decay=0.9)
    again.load_state_dict(found.state_dict())
    for one in (found, again):
        one.step(batches(32, 1))
    assert again.take_losses() == pytest.approx(found.take_losses(), rel=1e-2)


def test_step_in_pieces_is_the_step_as_a_whole() -> None:
    whole, pieces = trainer(), trainer()
    for _ in range(3):
        whole.step(batches(32, 1))
        pieces.step(batches(32, 4))
    assert pieces.take_losses() == pytest.approx(whole.take_losses(), rel=2e-2)


def test_networks_thread_waits_for_nobody(extractor: FeatureExtractor) -> None:
    """How long launching a batch takes the CPU, alone and beside a thread that draws boxes."""
    from psol_ray.heatmaps.boxes import heat_to_boxes

    images = torch.stack([picture(i) for i in range(64)]).to(DEVICE)
    heat = torch.nn.functional.avg_pool2d(torch.randn(128, 1, 16, 16), 3, 1)[:, 0]
    stop = threading.Event()

    def draw() -> None:
        while not stop.is_set():
            heat_to_boxes(heat, 448, "bilinear")

    def launch_ms() -> float:
        with torch.no_grad(), autocast(DEVICE, "auto"):
            times = []
            for _ in range(10):
                started = time.perf_counter()
                extractor(images)
                times.append(time.perf_counter() - started)
                if DEVICE.type == "cuda":
                    torch.cuda.synchronize()
        return sorted(times)[5] * 1e3

    launch_ms()
    alone = launch_ms()
    thread = threading.Thread(target=draw)
    thread.start()
    beside = launch_ms()
    stop.set()
    thread.join()
    print(f"\nNOTE launching a batch: {alone:.2f} ms alone, {beside:.2f} ms beside a thread that draws boxes")
