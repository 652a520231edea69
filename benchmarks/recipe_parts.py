"""One training of `train_recipes.py`, and the scores of the boxes it learns from."""

import dataclasses
import os
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray

from psol_ray.config import TrainConfig
from psol_ray.evaluation.metrics import GroundTruth, best_ious, gt_known
from psol_ray.evaluation.scores import score_boxes
from psol_ray.geometry.boxes import fractions_to_xyxy, iou
from psol_ray.images.decoder import make_decoder
from psol_ray.models.backbones import find_backbone
from psol_ray.models.device import autocast
from psol_ray.models.networks import PsolNetwork
from psol_ray.models.saved import SavedNetwork
from psol_ray.models.weights import load_state
from psol_ray.tables import BOXES, CATALOG, RunDir
from psol_ray.training.loader import TrainingLoader
from psol_ray.training.loop import Trainer
from psol_ray.training.losses import boxes_of_class
from psol_ray.training.samples import Samples, collect_samples

__all__ = ["score_teacher", "train"]

Json = dict[str, Any]

CORES = len(os.sched_getaffinity(0))
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
GPU = 0 if DEVICE.type == "cuda" else None


def score_teacher(params: Json) -> Json:
    """GT-Known and mean IoU of the run's boxes, on either split."""
    stages = RunDir(params["run"])
    scores = score_boxes(stages.stage("catalog").read(CATALOG), stages.stage("boxes").read(BOXES))
    return {split: _told(scores.of_split(split).iou_N) for split in ("train", "test")}


def train(params: Json) -> Json:
    """One variant with one seed; `base` leaves its boxes of the training images in `folder`."""
    torch.set_num_threads(CORES)
    torch.manual_seed(params["seed"])
    config = _recipe(params)
    samples = _samples(params, config)
    network = _network(params, config, samples.num_classes)
    decoder = make_decoder(params["input_size"], config.batch_size, regions=True, num_threads=CORES, gpu=GPU)
    loader = TrainingLoader(
        samples,
        decoder,
        params["images"],
        batch_size=config.batch_size,
        min_crop_area=config.min_crop_area,
        seed=params["seed"],
    )
    # As many steps for fewer images.
    steps = round(loader.steps / params["share"]) * config.epochs
    precision = partial(autocast, DEVICE, config.precision)
    trainer = Trainer(
        network, config, steps_an_epoch=steps // config.epochs, autocast=partial(precision, training=True)
    )
    started = time.perf_counter()
    for share in loader.shares(0, steps):
        trainer.step(share)
    losses = trainer.take_losses()
    seconds = time.perf_counter() - started
    return {
        **_scores(trainer.ready_result(), samples, params),
        "last_loss": float(np.mean(losses[-20:])),
        "images": len(samples),
        "seconds": seconds,
    }


def _scores(network: PsolNetwork, samples: Samples, params: Json) -> Json:
    """On the test images and on those it learned from; `base` leaves the latter's boxes for a second round."""
    catalog = RunDir(params["run"]).stage("catalog").read(CATALOG)
    assert samples.boxes_N4 is not None
    learned = catalog.filter(pc.field("image_id").isin(samples.image_ids))
    learned_N4 = _predict(network, learned, params)
    if params["variant"] == "base":
        np.save(_first_round(params), learned_N4)
    test = catalog.filter(pc.field("split") == "test")
    return {
        **_told(best_ious(_predict(network, test, params), GroundTruth.of(test))),
        "on_learned_images": _told(best_ious(learned_N4, GroundTruth.of(learned))),
        # How well it knows its teacher's boxes by heart.
        "iou_with_teacher": float(iou(learned_N4, samples.boxes_N4).mean()),
    }


def _recipe(params: Json) -> TrainConfig:
    names = ("backbone", "weights", "epochs", "batch_size", "learning_rate", "precision")
    return TrainConfig(**{**{name: params[name] for name in names}, **params["changes"]})


def _first_round(params: Json) -> Path:
    return Path(params["folder"]) / "first_round.npy"


def _samples(params: Json, config: TrainConfig) -> Samples:
    """The training images, or a random share of them, with DDT's boxes or those of the first round."""
    stages = RunDir(params["run"])
    samples = collect_samples(
        stages.stage("catalog").read(CATALOG), stages.stage("boxes").read(BOXES), config.box_weights
    )
    if params["variant"] == "second_round":
        return dataclasses.replace(samples, boxes_N4=np.load(_first_round(params)))
    if params["variant"] == "true_boxes":
        images = stages.stage("catalog").read(CATALOG).filter(pc.field("image_id").isin(samples.image_ids))
        return dataclasses.replace(samples, boxes_N4=GroundTruth.of(images).boxes_M4)
    rng = np.random.default_rng(params["seed"])
    kept = np.sort(rng.permutation(len(samples))[: round(len(samples) * params["share"])])
    assert samples.boxes_N4 is not None
    return dataclasses.replace(
        samples,
        image_ids=samples.image_ids[kept],
        sizes_N2=samples.sizes_N2[kept],
        labels_N=samples.labels_N[kept],
        boxes_N4=samples.boxes_N4[kept],
        weights_N=samples.weights_N[kept],
    )


def _network(params: Json, config: TrainConfig, num_classes: int) -> PsolNetwork:
    backbone = find_backbone(config.backbone)
    # VGG-GAP does without the layers behind its convolutions, and so with a file that lacks them.
    state = load_state(backbone, config.weights, for_features=backbone.pooled_by_gap)
    num_boxes = num_classes if config.regression == "per_class" else 1
    return (
        SavedNetwork(config.backbone, params["input_size"], num_boxes, None).build(state, for_training=True).to(DEVICE)
    )


@torch.inference_mode()
def _predict(network: PsolNetwork, images: Any, params: Json) -> NDArray[np.float64]:
    """Boxes of catalog rows in pixels, each that of its true class."""
    decoder = make_decoder(params["input_size"], 64, num_threads=CORES, gpu=GPU)
    paths = [os.path.join(params["images"], image_id) for image_id in images.column("image_id").to_pylist()]
    labels_N = torch.from_numpy(images.column("label").to_numpy().astype(np.int64)).to(DEVICE)
    found = []
    for start in range(0, len(paths), 64):
        with autocast(DEVICE, "auto"):
            outputs = network(decoder.decode(paths[start : start + 64]).images_NHWC)
        found.append(boxes_of_class(outputs.boxes_NR4, labels_N[start : start + 64]).double().cpu().numpy())
    width_N, height_N = (images.column(name).to_numpy() for name in ("width", "height"))
    return fractions_to_xyxy(np.concatenate(found), width_N, height_N)


def _told(iou_N: NDArray[np.float64]) -> Json:
    return {"gt_known": float(gt_known(iou_N).mean()), "mean_iou": float(iou_N.mean())}
