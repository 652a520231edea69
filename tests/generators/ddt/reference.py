"""DDT as the paper's Algorithm reads, line by line, with nobody's tricks: the oracle of `locate_class`.

No streaming, no batches, no DALI: Pillow, torchvision, scikit-learn and scikit-image, all of a class in memory.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
import torchvision
from numpy.typing import NDArray
from PIL import Image
from skimage.measure import label, regionprops
from sklearn.decomposition import PCA
from torch.nn.functional import interpolate
from torchvision.transforms.functional import normalize, to_tensor

__all__ = ["reference_boxes"]

SIDE = 448


@torch.inference_mode()
def reference_boxes(weights: Path, images: Sequence[tuple[Path, bool]]) -> NDArray[np.float64]:
    """One box `(x0, y0, x1, y1)` in pixels for each `(path, is_train)` of a class.

    `weights` is a safetensors file of torchvision's VGG16 convolutions.
    """
    vgg = torchvision.models.vgg16(init_weights=False).eval()
    vgg.load_state_dict(safetensors.torch.load_file(weights), strict=False)
    sizes, maps = [], []
    for path, _ in images:
        with Image.open(path) as image:
            sizes.append(image.size)
            squashed = to_tensor(image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR))
        pixels = normalize(squashed, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
        maps.append(vgg.features(pixels[None])[0].permute(1, 2, 0).numpy())
    descriptors = np.concatenate([m.reshape(-1, 512) for m, (_, train) in zip(maps, images, strict=True) if train])
    pca = PCA(n_components=1, svd_solver="full").fit(descriptors)
    projected = pca.transform(descriptors)
    sign = np.sign(projected[np.abs(projected).argmax()].item())
    boxes = []
    for (width, height), features in zip(sizes, maps, strict=True):
        heat = sign * pca.transform(features.reshape(-1, 512)).reshape(1, 1, *features.shape[:2])
        upsampled = interpolate(torch.from_numpy(heat), (SIDE, SIDE), mode="bilinear", align_corners=False)[0, 0]
        regions = regionprops(label(upsampled.numpy() > 0, connectivity=2))
        box = (0, 0, SIDE, SIDE)
        if regions:
            y0, x0, y1, x1 = max(regions, key=lambda region: region.area).bbox
            box = (x0, y0, x1, y1)
        boxes.append(np.array(box) / SIDE * [width, height, width, height])
    return np.array(boxes)
