"""The three loaders of `train_throughput.py`, and the steps they feed."""

import os
import time
from collections.abc import Generator
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from result import Json
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode

from psol_ray.geometry.crops import boxes_in_crops, draw_crops
from psol_ray.images.decoder import make_decoders
from psol_ray.models.backbones import find_backbone
from psol_ray.models.device import autocast
from psol_ray.models.networks import PsolNetwork
from psol_ray.tables import BOXES, CATALOG, RunDir
from psol_ray.training.loader import StepBatches, TrainingBatch, TrainingLoader
from psol_ray.training.settings import TrainConfig
from psol_ray.training.trainer import Trainer
from psol_ray.training.training_set import TrainingSet, collect_training_set

__all__ = ["PEERS", "measure"]

Steps = Generator[StepBatches]

CORES = len(os.sched_getaffinity(0))
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
MIN_STEPS = 2
LOADED_STEPS = 30
PEERS = ("dali", "dataloader")


def measure(params: Json) -> Json:
    """Images/s of each loader in each of its turns, between two turns of the mock loader."""
    torch.set_num_threads(CORES)
    stages = RunDir(params["run"])
    training_set = collect_training_set(stages.stage("catalog").read(CATALOG), stages.stage("boxes").read(BOXES))
    backbone = find_backbone(params["backbone"])
    network = PsolNetwork(backbone, num_boxes=1, num_classes=training_set.num_classes, for_training=True).to(DEVICE)
    # A rate so small that random weights cannot run off.
    config = TrainConfig(batch_size=params["batch_size"], learning_rate=1e-9)
    trainer = Trainer(network, config, steps_per_epoch=10**9, autocast=partial(autocast, DEVICE, "auto", training=True))
    loaders = {
        "mock": mock(training_set, backbone.input_size, params),
        "dali": dali(training_set, backbone.input_size, params),
        "dataloader": dataloader(training_set, backbone.input_size, params),
    }
    batches = next(loaders["mock"])
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network.eval()(batches[0].images_NHWC)
    for _ in range(2):
        trainer.step(batches)
    turns = ["mock", *(name for _ in range(params["rounds"]) for peer in PEERS for name in (peer, "mock"))]
    rates = [{"loader": name, "images_per_s": _rate(trainer, loaders[name], params)} for name in turns]
    for steps in loaders.values():
        steps.close()
    loading = _loading_cpu_s(training_set, backbone.input_size, params)
    # Backward passes cost twice as much; counted from the forward pass, because the counter takes those of grouped
    # convolutions for whole ones.
    flops = 3 * counter.get_total_flops() / params["batch_size"]
    return {
        "device": "gpu" if DEVICE.type == "cuda" else "cpu",
        "cores": CORES,
        "gflop_an_image": flops / 1e9,
        "dali_cpu_ms_an_image": 1000 * loading,
        "turns": rates,
    }


def _rate(trainer: Trainer, batches: Steps, params: Json) -> float:
    """Images/s, with every queue as full at the end as at the beginning: the loader decodes what the steps take."""
    trainer.step(next(batches))
    time.sleep(1)  # queues fill up
    trainer.take_losses()
    started, steps = time.perf_counter(), 0
    while steps < MIN_STEPS or time.perf_counter() - started < params["seconds"]:
        trainer.step(next(batches))
        steps += 1
        if steps % 10 == 0:
            trainer.take_losses()
    trainer.take_losses()  # waits for a GPU
    return steps * params["batch_size"] / (time.perf_counter() - started)


def _loading_cpu_s(training_set: TrainingSet, size: int, params: Json) -> float:
    """CPU seconds an image of the project's loader, whichever thread they are in, while no network works."""
    with closing(dali(training_set, size, params)) as steps:
        for _ in range(5):  # pipelines are made, queues full
            next(steps)
        started = time.process_time()
        for _ in range(LOADED_STEPS):
            next(steps)
        return (time.process_time() - started) / LOADED_STEPS / params["batch_size"]


def mock(training_set: TrainingSet, size: int, params: Json) -> Steps:
    """The first step's batch for ever."""
    with closing(dali(training_set, size, params)) as steps:
        batches = next(steps)
    while True:
        yield batches


def dali(training_set: TrainingSet, size: int, params: Json) -> Steps:
    """The project's own loader."""
    gpu = 0 if DEVICE.type == "cuda" else None
    decoders = make_decoders(size, params["batch_size"], regions=True, num_threads=CORES, gpu=gpu)
    loader = TrainingLoader(
        training_set, decoders, params["images"], batch_size=params["batch_size"], min_crop_area=0.2, seed=0
    )
    yield from loader.steps_of(0, 10**6)


class Crops(Dataset):
    """The same crops with Pillow, as torchvision's users read files. Pixels stay uint8, which is the cheapest."""

    def __init__(self, training_set: TrainingSet, size: int, root: str) -> None:
        self.training_set, self.size, self.root = training_set, size, root
        self.rng = np.random.default_rng()

    def __len__(self) -> int:
        return len(self.training_set)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor, int]:
        image = Image.open(Path(self.root) / self.training_set.images.column("image_id")[row].as_py()).convert("RGB")
        assert self.training_set.boxes_N4 is not None
        boxes_14 = self.training_set.boxes_N4[row : row + 1]
        regions_14 = draw_crops(self.rng, np.array([image.size]), 0.2, boxes_14)
        flip = bool(self.rng.random() < 0.5)
        region = tuple(regions_14[0].tolist())
        pixels = np.asarray(image.crop(region).resize((self.size, self.size), Image.Resampling.BILINEAR))
        (target,) = torch.from_numpy(boxes_in_crops(boxes_14, regions_14, np.array([flip]))).float()
        return (
            torch.from_numpy((pixels[:, ::-1] if flip else pixels).copy()),
            target,
            int(self.training_set.labels_N[row]),
        )


def dataloader(training_set: TrainingSet, size: int, params: Json) -> Steps:
    """torch's DataLoader with a process a core."""
    loader = DataLoader(
        Crops(training_set, size, params["images"]),
        batch_size=params["batch_size"],
        shuffle=True,
        drop_last=True,
        num_workers=CORES,
        persistent_workers=True,
        pin_memory=DEVICE.type == "cuda",
    )
    while True:
        for images_boxes_labels in loader:
            images_NHWC, boxes_N4, labels_N = (tensor.to(DEVICE, non_blocking=True) for tensor in images_boxes_labels)
            yield [TrainingBatch(images_NHWC, boxes_N4, labels_N, torch.ones_like(labels_N, dtype=torch.bool))]
