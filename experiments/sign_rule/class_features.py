"""Feature maps of every class of CUB and of ImageNet, or of samples of them, and of images that show nothing.

VGG16's maps are kept before its last pool, from which the pooled ones follow. With a cache folder each class is
extracted once.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch.nn import functional as F

from psol_ray.catalog.headers import read_sizes
from psol_ray.catalog.layouts import list_images
from psol_ray.catalog.listing import build_catalog
from psol_ray.geometry.boxes import scale
from psol_ray.images.decoder import make_decoder
from psol_ray.models import lite0
from psol_ray.models.backbones import find_backbone
from psol_ray.models.device import autocast
from psol_ray.models.features import FeatureExtractor
from psol_ray.models.weights import load_state
from psol_ray.storage.addresses import image_addresses

__all__ = ["INPUT_SIZE", "ClassFeatures", "iterate_classes", "make_extractor", "pooled", "synthetic_images"]

INPUT_SIZE = 448
BATCH_SIZE = 8
DATA_SETS = {"cub": ("cub", "CUB_200_2011"), "ilsvrc": ("imagenet", "ILSVRC")}

Extract = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class ClassFeatures:
    """A class's maps, which of its images train, and the true boxes (pixels) of those that have any."""

    data_set: str
    name: str
    map_Nhwc: torch.Tensor
    is_train_N: torch.Tensor
    sizes_N2: np.ndarray
    gt_boxes: list[Any]

    @property
    def train_Nhwc(self) -> torch.Tensor:
        return self.map_Nhwc[self.is_train_N]

    @property
    def boxed(self) -> list[int]:
        """Rows of the images with true boxes."""
        return [i for i, boxes in enumerate(self.gt_boxes) if boxes]

    def true_boxes(self) -> list[np.ndarray]:
        """True boxes of each row of `boxed`, as fractions of the image."""
        pixels = [np.array(self.gt_boxes[i], np.float64) for i in self.boxed]
        return [scale(boxes, *(1 / self.sizes_N2[i])) for i, boxes in zip(self.boxed, pixels, strict=True)]


def make_extractor(network: str, vgg16_weights: str) -> Extract:
    """uint8 images to a bfloat16 map: `vgg16`, before its last pool, or `lite0`."""
    if network == "vgg16":
        backbone, weights = find_backbone("vgg16"), vgg16_weights
        backbone = replace(backbone, feature_node="features.29")  # the ReLU before the last pool
    else:
        backbone, weights = find_backbone(lite0.BACKBONE), lite0.PACKAGE
    extractor = FeatureExtractor(backbone, load_state(backbone, weights, for_features=True))

    def extract(images_NHWC: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode(), autocast(torch.device("cpu"), "auto"):
            return torch.cat([extractor(part).bfloat16() for part in images_NHWC.split(BATCH_SIZE)])

    return extract


def pooled(map_Nhwc: torch.Tensor) -> torch.Tensor:
    """VGG16's map after its last pool."""
    return F.max_pool2d(map_Nhwc.permute(0, 3, 1, 2), 2).permute(0, 2, 3, 1).contiguous()


def iterate_classes(
    network: str, extract: Extract, data: Path, cache: Path | None, *, smoke: bool = False
) -> Iterator[ClassFeatures]:
    """Features of every class of both data sets; of a smoke test, those of every tenth image of one class of each."""
    for data_set, (layout, folder) in DATA_SETS.items():
        root = data / folder
        listing = list_images(layout, str(root))
        catalog = build_catalog(listing, read_sizes(str(root), listing["image_id"].to_pylist()))
        for name in sorted(set(catalog["class_name"].to_pylist()))[: 1 if smoke else None]:
            rows = catalog.filter(pc.field("class_name") == name)
            rows = rows.sort_by([("split", "descending"), ("image_id", "ascending")])
            rows = rows.take(list(range(0, len(rows), 10))) if smoke else rows
            map_Nhwc = _cached(cache, f"{network}_{data_set}_{name}.pt", rows, root, extract)
            yield ClassFeatures(
                data_set,
                name,
                map_Nhwc,
                torch.tensor([split == "train" for split in rows["split"].to_pylist()]),
                np.stack([rows["width"].to_numpy(), rows["height"].to_numpy()], axis=1),
                rows["gt_boxes"].to_pylist(),
            )


def _cached(cache: Path | None, file_name: str, rows: pa.Table, root: Path, extract: Extract) -> torch.Tensor:
    image_ids = rows["image_id"].to_pylist()
    path = cache / file_name if cache else None
    if path and path.is_file():
        saved = torch.load(path, mmap=True)
        if saved["image_id"] != image_ids:
            raise SystemExit(f"{path} holds other images than the data set; remove it")
        return saved["map"]
    map_Nhwc = extract(_decode(list(map(str, image_addresses(str(root), rows)))))
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({"map": map_Nhwc, "image_id": image_ids}, path)
    return map_Nhwc


def _decode(paths: list[str]) -> torch.Tensor:
    decoder = make_decoder(INPUT_SIZE, BATCH_SIZE, num_threads=2, gpu=None)
    batches = [decoder.decode(paths[start : start + BATCH_SIZE]) for start in range(0, len(paths), BATCH_SIZE)]
    return torch.cat([batch.images_NHWC for batch in batches])


def synthetic_images(count: int) -> torch.Tensor:
    """Images of nothing, uint8 `(count, H, W, 3)`: in turn one colour, a gradient, noise by the pixel, by the patch."""
    generator = torch.Generator().manual_seed(0)

    def noise(side: int) -> torch.Tensor:
        coarse = torch.rand(1, 3, side, side, generator=generator)
        return F.interpolate(coarse, (INPUT_SIZE, INPUT_SIZE), mode="bilinear", align_corners=side == 2)

    images = torch.cat([noise((1, 2, INPUT_SIZE, 28)[i % 4]) for i in range(count)])
    return (images.permute(0, 2, 3, 1) * 255).to(torch.uint8)
