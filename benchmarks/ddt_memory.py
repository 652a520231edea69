"""Peak memory of DDT over the size of a class, with a budget for its features and without.

    python benchmarks/ddt_memory.py --out FILE.json

A class whose features exceed the budget is read twice instead of kept. Every case is a process of its own, with a
network so small that 20,000 images take minutes; there are only so many files, so they are repeated. Peak memory
counts from what the process had once it had done a class of 64 images.
"""

import argparse
import math
import sys
import time

import numpy as np
import pyarrow as pa
import torch
from data import LITE0, add_images, find_images, read_catalog
from fresh_process import peak_memory_mb, reset_peak_memory, run_fresh
from result import Json, print_table, write_result

from psol_ray.generators.ddt.settings import DdtSettings
from psol_ray.generators.ddt.worker import DdtWorker
from psol_ray.generators.settings import InferenceSettings
from psol_ray.models.backbones import find_backbone
from psol_ray.models.weights import load_state
from psol_ray.storage.addresses import image_addresses
from psol_ray.work.jobs import Resources, Task

# Of the small ones, one fits a megabyte and the other does not, in bfloat16 as in float32.
SIZES, SMOKE_SIZES = (100, 1300, 20_000), (32, 128)
WARM_UP = 64  # images
NO_BUDGET_GB = 1e6


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
    add_images(parser)
    parser.add_argument("--backbone", default=LITE0[0])
    parser.add_argument("--weights", default=LITE0[1])
    parser.add_argument("--input-size", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--budget-mb", type=float, default=8, help="of features")
    parser.add_argument("--out", required=True, help="JSON file to write")
    parser.add_argument("--smoke", action="store_true", help="32 and 128 images, a budget of 1 MB")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.budget_mb = 1
    find_images(arguments)
    return arguments


def _run(arguments: argparse.Namespace, num_images: int, budget_mb: float | None) -> Json:
    params = {**vars(arguments), "num_images": num_images, "budget_mb": budget_mb}
    run = run_fresh("ddt_memory", "one_class", params, keep_memory=True, in_process=arguments.smoke)
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
    from throughput_parts import CORES, GPU

    images = _class_of(params)
    paths = image_addresses(params["images"], images)
    worker = _worker(params, Resources(CORES, GPU))
    features: list[torch.Tensor] = []
    worker.stream.read(paths[:1], lambda _, map_Nhwc, __: features.append(map_Nhwc.clone()))

    def locate(count: int) -> int:
        reports: list[int] = []  # one a batch
        worker.process(Task("class", images[:count], paths[:count], reports.append))
        return round(len(reports) / math.ceil(count / params["batch_size"]))

    locate(min(WARM_UP, len(paths)))
    loaded_mb, started = reset_peak_memory(), time.perf_counter()
    passes = locate(len(paths))
    seconds = time.perf_counter() - started
    return {
        "images": len(paths),
        "budget_mb": params["budget_mb"],
        "features_mb": len(paths) * features[0].nbytes / 2**20,
        "peak_mb": peak_memory_mb() - loaded_mb,
        "loaded_mb": loaded_mb,
        "passes": passes,
        "images_per_s": len(paths) / seconds,
        "gpu_peak_mb": None if GPU is None else torch.cuda.max_memory_allocated() / 2**20,
    }


def _worker(params: Json, resources: Resources) -> DdtWorker:
    state = load_state(find_backbone(params["backbone"]), params["weights"], for_features=True)
    settings = DdtSettings(params["backbone"], params["weights"], params["input_size"])
    # A third of a worker's budget is for the class it reads.
    memory_gb = NO_BUDGET_GB if params["budget_mb"] is None else 3 * params["budget_mb"] * 2**20 / 1e9
    return DdtWorker(
        settings, InferenceSettings(batch_size=params["batch_size"], memory_gb=memory_gb), state, resources
    )


def _class_of(params: Json) -> pa.Table:
    """Catalog rows of one class as large as asked for: the data set's, over and over."""
    catalog, count = read_catalog(argparse.Namespace(**params)), params["num_images"]
    rows = catalog.take(pa.array(np.arange(count) % len(catalog)))
    constant = {"label": np.zeros(count, np.int32), "class_name": ["class"] * count, "split": ["train"] * count}
    for name, values in constant.items():
        rows = rows.set_column(rows.schema.get_field_index(name), rows.schema.field(name), [values])
    return rows


if __name__ == "__main__":
    main()
