"""The whole of DDT, with real weights on real photographs, against its literal transcription."""

from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from psol_ray.generators.ddt.class_boxes import locate_class
from psol_ray.generators.ddt.stream import FeatureStream
from psol_ray.geometry.boxes import iou
from psol_ray.images.decoder import make_decoder
from psol_ray.models.backbones import find_backbone
from psol_ray.models.features import FeatureExtractor
from psol_ray.models.weights import load_state
from psol_ray.tables.schemas import boxes_array

from .reference import SIDE, reference_boxes

TRAIN, TEST = 4, 2


def read_column(path: Path) -> dict[str, list[str]]:
    return {key: rest for key, *rest in (line.split() for line in path.read_text().splitlines())}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Of this name, so that it replaces the folder's: VGG16 is not slowed down by threads."""


@pytest.mark.slow
@pytest.mark.parametrize("label", [1, 5])
def test_locate_class_draws_the_boxes_of_the_reference(shared: Path, label: int) -> None:
    cub, weights = shared / "data" / "CUB_200_2011", shared / "weights" / "vgg16_features.safetensors"
    paths, boxes, is_train = (
        read_column(cub / f"{name}.txt") for name in ("images", "bounding_boxes", "train_test_split")
    )
    of_class = [key for key, (name,) in paths.items() if name.startswith(f"{label:03}.")]
    train = [key for key in of_class if is_train[key] == ["1"]][:TRAIN]
    keys = train + [key for key in of_class if is_train[key] == ["0"]][:TEST]
    files = [cub / "images" / paths[key][0] for key in keys]
    x, y, width, height = np.array([boxes[key] for key in keys], np.float64).T
    gt_boxes = np.stack([x, y, x + width, y + height], axis=1)

    expected = reference_boxes(weights, [(file, key in train) for file, key in zip(files, keys, strict=True)])

    sizes = [Image.open(file).size for file in files]
    images = pa.table(
        {
            "image_id": [paths[key][0] for key in keys],
            "label": [label] * len(keys),
            "class_name": [str(label)] * len(keys),
            "split": ["train" if key in train else "test" for key in keys],
            "width": [w for w, _ in sizes],
            "height": [h for _, h in sizes],
        }
    )
    backbone = find_backbone("vgg16")
    extract = FeatureExtractor(backbone, load_state(backbone, str(weights), for_features=True))
    decoder = make_decoder(SIDE, 5, num_threads=2, gpu=None)
    stream = FeatureStream([decoder], extract, 5, torch.device("cpu"))
    read = partial(stream.read, [str(file) for file in files])
    found = locate_class(images, read, input_size=SIDE, upsample="bilinear")["boxes"]
    stream.close()

    assert found["status"].to_pylist() == ["ok"] * len(keys)
    agreement = iou(boxes_array(found), expected)
    assert agreement.mean() >= 0.99, agreement
    localized = [(iou(candidate, gt_boxes) >= 0.5).mean() for candidate in (boxes_array(found), expected)]
    assert abs(localized[0] - localized[1]) <= 0.01
    assert localized[1] >= 0.5
