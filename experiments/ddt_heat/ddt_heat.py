"""What turning heat into boxes costs: in cells, as the project does it, and by labelling every pixel.

    python experiments/ddt_heat/ddt_heat.py --out FILE.json

Maps are smoothed noise of which half is positive: a few components each, as DDT's maps have them. Times are CPU time of
one thread, the median over batches of 64.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from result import Json, print_table, write_result

from psol_ray.heatmaps.boxes import heat_to_boxes
from psol_ray.heatmaps.components import HeatBoxes, largest_components

SIDE, BATCH = 448, 64


def main() -> None:
    """Time, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", required=True, help="JSON file to write")
    parser.add_argument("--smoke", action="store_true", help="3 batches instead of 30")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    rows = [_time(cells, 3 if arguments.smoke else 30) for cells in (14, 28)]
    write_result(arguments.out, {"benchmark": "ddt_heat", **vars(arguments), "batch": BATCH}, {"kinds": rows})
    print_table(rows)


def _time(cells: int, num_batches: int) -> Json:
    noise_Nhw = np.random.default_rng(0).standard_normal((num_batches * BATCH, cells, cells))
    heat_Nhw = torch.from_numpy(gaussian_filter(noise_Nhw, (0, cells / 10, cells / 10)).astype(np.float32))
    return {
        "maps": f"{cells} x {cells}",
        "bilinear, us": _microseconds(lambda batch: heat_to_boxes(batch, SIDE, "bilinear"), heat_Nhw),
        "every pixel, us": _microseconds(_label_every_pixel, heat_Nhw[: 4 * BATCH]),
        "nearest, us": _microseconds(lambda batch: heat_to_boxes(batch, SIDE, "nearest"), heat_Nhw),
    }


def _label_every_pixel(heat_Nhw: torch.Tensor) -> HeatBoxes:
    """Upsampled by PyTorch, labelled by OpenCV."""
    upsampled = F.interpolate(heat_Nhw[:, None], (SIDE, SIDE), mode="bilinear", align_corners=False)[:, 0]
    return largest_components(upsampled.numpy())


def _microseconds(function: Callable[[torch.Tensor], HeatBoxes], heat_Nhw: torch.Tensor) -> float:
    """CPU time an image; the first batch warms up."""
    times = []
    for batch in heat_Nhw.split(BATCH):
        started = time.process_time()
        function(batch)
        times.append(time.process_time() - started)
    return 1e6 * float(np.median(times[1:])) / BATCH


if __name__ == "__main__":
    main()
