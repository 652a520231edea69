"""Heat map to box: what it costs, and how well it agrees with looking at every pixel, on real heat maps.

    python benchmarks/ddt_heat.py --shared SHARED --out FILE.json [--cache DIR]

Maps are the projections of VGG16's features on their class's component, of either sign: 14 x 14 after the last pool,
28 x 28 before. The oracle upsamples with PyTorch and labels with scikit-image. Times are CPU time of one thread, the
median over batches of 64.
"""

import argparse
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from class_features import iterate_classes, make_extractor, pooled
from result import print_table, write_result
from skimage.measure import label
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parents[1]))

from psol_ray.generators.ddt.moments import Moments
from psol_ray.heatmaps.boxes import heat_to_boxes
from psol_ray.heatmaps.components import HeatBoxes, largest_components

SIDE, BATCH = 448, 64
Json = dict[str, Any]


def main() -> None:
    """Project, compare, time, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", required=True, type=Path, help="folder with data/ and weights/")
    parser.add_argument("--out", required=True, help="JSON file to write")
    parser.add_argument("--cache", type=Path, help="folder for extracted features")
    parser.add_argument("--smoke", action="store_true", help="the first class of each data set")
    arguments = parser.parse_args()
    maps = _heat_maps(arguments)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    rows = [_compare(name, heat_Nhw) for name, heat_Nhw in maps.items()]
    params = {"benchmark": "ddt_heat", "shared": str(arguments.shared), "smoke": arguments.smoke, "batch": BATCH}
    write_result(arguments.out, params, {"kinds": rows})
    print_table(rows)


def _heat_maps(arguments: argparse.Namespace) -> dict[str, torch.Tensor]:
    found: dict[str, list[torch.Tensor]] = {}
    extract = make_extractor("vgg16", arguments.shared)
    only = 1 if arguments.smoke else None
    for features in iterate_classes("vgg16", extract, arguments.shared, arguments.cache, only=only):
        for name, map_Nhwc in (("14 x 14", pooled(features.map_Nhwc)), ("28 x 28", features.map_Nhwc)):
            heat_Nhw = _project(map_Nhwc, features.is_train_N)
            found.setdefault(f"{name}, one sign", []).append(heat_Nhw)
            found.setdefault(f"{name}, the other", []).append(-heat_Nhw)
    return {name: torch.cat(parts) for name, parts in found.items()}


def _project(map_Nhwc: torch.Tensor, is_train_N: torch.Tensor) -> torch.Tensor:
    moments = Moments(map_Nhwc.shape[-1])
    for chunk in map_Nhwc[is_train_N].split(BATCH):
        moments.update(chunk.reshape(-1, chunk.shape[-1]))
    component = moments.component().to(torch.device("cpu"))
    return torch.cat([component.project(chunk) for chunk in map_Nhwc.split(BATCH)])


def _compare(name: str, heat_Nhw: torch.Tensor) -> Json:
    found = heat_to_boxes(heat_Nhw, SIDE, "bilinear")
    oracle = [_look_at_every_pixel(heat_hw) for heat_hw in heat_Nhw]
    off_N = np.abs(found.boxes_N4 * SIDE - np.array([box for box, _ in oracle])).max(axis=1)
    same_area_N = np.rint(found.area_fraction_N * SIDE**2) == np.array([area for _, area in oracle])
    return {
        "maps": name,
        "count": len(heat_Nhw),
        "within a pixel, %": 100 * float((off_N <= 1).mean()),
        "same box, %": 100 * float((off_N < 1e-6).mean()),
        "same area, %": 100 * float(same_area_N.mean()),
        "bilinear, us": _microseconds(lambda batch: heat_to_boxes(batch, SIDE, "bilinear"), heat_Nhw),
        "every pixel, us": _microseconds(_label_every_pixel, heat_Nhw[: 4 * BATCH]),
        "nearest, us": _microseconds(lambda batch: heat_to_boxes(batch, SIDE, "nearest"), heat_Nhw),
    }


def _look_at_every_pixel(heat_hw: torch.Tensor) -> tuple[tuple[int, ...], int]:
    upsampled = F.interpolate(heat_hw[None, None], (SIDE, SIDE), mode="bilinear", align_corners=False)[0, 0]
    labels = label(upsampled.numpy() > 0, connectivity=2)
    areas = np.bincount(labels.reshape(-1))
    areas[0] = 0
    if not areas.any():
        return (0, 0, SIDE, SIDE), 0
    y, x = np.nonzero(labels == areas.argmax())
    return (x.min(), y.min(), x.max() + 1, y.max() + 1), int(areas.max())


def _label_every_pixel(heat_Nhw: torch.Tensor) -> HeatBoxes:
    """What it would cost with OpenCV's labels instead."""
    upsampled = F.interpolate(heat_Nhw[:, None], (SIDE, SIDE), mode="bilinear", align_corners=False)[:, 0]
    return largest_components(upsampled.numpy())


def _microseconds(function: Any, heat_Nhw: torch.Tensor) -> float:
    """CPU time an image; the first batch warms up."""
    times = list(_times(function, heat_Nhw))
    return 1e6 * float(np.median(times[1:] or times)) / BATCH


def _times(function: Any, heat_Nhw: torch.Tensor) -> Iterator[float]:
    for batch in heat_Nhw.split(BATCH):
        if len(batch) == BATCH:
            started = time.process_time()
            function(batch)
            yield time.process_time() - started


if __name__ == "__main__":
    main()
