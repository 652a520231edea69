"""DDT as others would write it: three programs that give a box for each image, for `ddt_throughput.py`.

Each keeps a class's features and draws boxes with scikit-image. They count from when the network is loaded and has
seen one batch, as the engine does.
"""

import logging
import resource
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
import torchvision
from fresh_process import peak_memory_mb
from PIL import Image
from result import Json
from skimage.measure import label, regionprops
from sklearn.decomposition import PCA, IncrementalPCA
from throughput_parts import CORES, DEVICE, classes
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from psol_ray.storage.addresses import image_addresses

__all__ = ["incremental_pca", "plain_loop", "ray_data"]

Box = tuple[int, int, int, int]

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Images(Dataset):
    """Files of a class, as torchvision's users read them."""

    def __init__(self, paths: list[str], side: int) -> None:
        self.paths = paths
        self.transform = transforms.Compose(
            [transforms.Resize((side, side)), transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.transform(Image.open(self.paths[index]).convert("RGB"))


def load_vgg(weights: str, batch_size: int, side: int) -> nn.Module:
    """VGG16's convolutions, float32, warm."""
    vgg = torchvision.models.vgg16(weights=None)
    vgg.load_state_dict(safetensors.torch.load_file(weights), strict=False)
    features = vgg.features.eval().to(DEVICE)
    with torch.no_grad():
        features(torch.zeros(batch_size, 3, side, side, device=DEVICE))
    return features


def plain_loop(params: Json) -> Json:
    """A loop over classes: DataLoader, float32 features on the CPU, scikit-learn's PCA."""
    vgg = load_vgg(params["weights"], params["batch_size"], params["input_size"])
    started, boxes = (time.perf_counter(), _cpu_seconds()), []
    for paths, is_train in _class_files(params):
        features = torch.cat(list(_features(vgg, paths, params))).permute(0, 2, 3, 1).numpy()
        pca = PCA(n_components=1).fit(features[is_train].reshape(-1, features.shape[-1]))
        boxes += draw(pca.transform(features.reshape(-1, features.shape[-1])), features.shape, params["input_size"])
    return _result(boxes, started)


def incremental_pca(params: Json) -> Json:
    """The same with scikit-learn's IncrementalPCA, batch by batch; a second pass over stored features projects."""
    vgg = load_vgg(params["weights"], params["batch_size"], params["input_size"])
    started, boxes = (time.perf_counter(), _cpu_seconds()), []
    for paths, is_train in _class_files(params):
        pca, stored, seen = IncrementalPCA(n_components=1), [], 0
        for batch in _features(vgg, paths, params):
            features = batch.permute(0, 2, 3, 1).numpy()
            train = features[is_train[seen : seen + len(features)]]
            if len(train):
                pca.partial_fit(train.reshape(-1, train.shape[-1]))
            stored.append(features)
            seen += len(features)
        for features in stored:
            heat = pca.transform(features.reshape(-1, features.shape[-1]))
            boxes += draw(heat, features.shape, params["input_size"])
    return _result(boxes, started)


def _class_files(params: Json) -> Iterator[tuple[list[str], np.ndarray]]:
    """Files of each class, and which of them train."""
    for images in classes(params):
        yield (
            list(map(str, image_addresses(params["images"], images))),
            np.array(images["split"].to_pylist()) == "train",
        )


@torch.no_grad()
def _features(vgg: nn.Module, paths: list[str], params: Json) -> Iterator[torch.Tensor]:
    loader = DataLoader(Images(paths, params["input_size"]), batch_size=params["batch_size"], num_workers=CORES)
    for batch in loader:
        yield vgg(batch.to(DEVICE)).cpu()


def draw(heat: np.ndarray, shape: tuple[int, ...], side: int) -> list[Box]:
    """Boxes of a class's heat, `(N * h * w, 1)`, for features of shape `(N, h, w, C)`."""
    maps = torch.from_numpy(heat.reshape(shape[0], 1, *shape[1:3])).float()
    boxes = []
    for upsampled in F.interpolate(maps, size=(side, side), mode="bilinear", align_corners=False)[:, 0].numpy():
        regions = regionprops(label(upsampled > 0, connectivity=2))
        y0, x0, y1, x1 = max(regions, key=lambda region: region.area).bbox if regions else (0, 0, side, side)
        boxes.append((x0, y0, x1, y1))
    return boxes


def _cpu_seconds() -> float:
    """Of this process and of the DataLoader's that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def _result(boxes: list[Box], started: tuple[float, float]) -> Json:
    seconds, cpu_s = time.perf_counter() - started[0], _cpu_seconds() - started[1]
    return {
        "images_per_s": len(boxes) / seconds,
        "cpu_s_an_image": cpu_s / len(boxes),
        "images": len(boxes),
        "peak_memory_mb": peak_memory_mb(),
    }


def ray_data(params: Json) -> Json:
    """Ray Data: tasks decode, an actor runs the network in bfloat16, groups of a class get PCA and boxes.

    Its actor leaves a file behind once it is warm, from which time counts, and keeps its peak of memory in it.
    """
    import ray

    ray.init(address="local", logging_level=logging.ERROR, log_to_driver=False, include_dashboard=False)
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    rows = [
        {"path": path, "class": index, "is_train": bool(trains)}
        for index, (paths, is_train) in enumerate(_class_files(params))
        for path, trains in zip(paths, is_train, strict=True)
    ]
    try:
        return _boxes_by_ray_data(rows, params)
    finally:
        ray.shutdown()


def _boxes_by_ray_data(rows: list[Json], params: Json) -> Json:
    import ray

    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "actor"
        boxes = (
            ray.data.from_items(rows, override_num_blocks=max(2, len(rows) // params["batch_size"]))
            .map(partial(_decode, side=params["input_size"]))
            .map_batches(
                _Vgg,
                fn_constructor_args=(params, str(log)),
                batch_size=params["batch_size"],
                compute=ray.data.ActorPoolStrategy(size=1),
                num_gpus=int(DEVICE.type == "cuda"),
            )
            .groupby("class", num_partitions=2)
            .map_groups(partial(_boxes_of_class, side=params["input_size"]), batch_format="numpy")
            .take_all()
        )
        seconds = time.time() - float(log.read_text().splitlines()[0])
        return {
            "images_per_s": len(boxes) / seconds,
            "images": len(boxes),
            "peak_memory_mb": float(log.read_text().splitlines()[-1]),
        }


def _decode(row: Json, side: int) -> Json:
    with Image.open(row["path"]) as image:
        row["image"] = np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.BILINEAR))
    return row


class _Vgg:
    def __init__(self, params: Json, log: str) -> None:
        # Ray gives an actor one thread a CPU that it asks for, and asking for all would leave none to decode.
        torch.set_num_threads(CORES)
        self.vgg = load_vgg(params["weights"], params["batch_size"], params["input_size"])
        self.log = Path(log)
        self.log.write_text(f"{time.time()}\n")

    @torch.no_grad()
    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        images = torch.from_numpy(batch.pop("image")).to(DEVICE).permute(0, 3, 1, 2).float() / 255
        images = transforms.functional.normalize(images, MEAN, STD)
        with torch.autocast(DEVICE.type, torch.bfloat16):
            features = self.vgg(images)
        batch["features"] = features.permute(0, 2, 3, 1).half().cpu().numpy()
        with self.log.open("a") as file:
            file.write(f"{peak_memory_mb()}\n")
        return batch


def _boxes_of_class(group: dict[str, np.ndarray], side: int) -> dict[str, Any]:
    features = np.stack(list(group["features"])).astype(np.float32)
    pca = PCA(n_components=1).fit(features[group["is_train"].astype(bool)].reshape(-1, features.shape[-1]))
    boxes = draw(pca.transform(features.reshape(-1, features.shape[-1])), features.shape, side)
    return {"path": group["path"], "box": np.array(boxes)}
