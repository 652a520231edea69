"""Images/s of training: the same steps fed by a mock loader, by DALI, and by a torchvision DataLoader.

    python benchmarks/train_throughput.py --out FILE.json
    python benchmarks/train_throughput.py --run runs/cub --images CUB_200_2011 --out FILE.json

A run directory has a catalog and boxes (`psol index`, `psol boxes`); without one, each image has a box in its middle.
For each backbone a process trains the joint network (both heads, random weights: speed does not depend on them) and
lets the three loaders take turns, `--rounds` times, `--seconds` each. The mock loader gives the same batch again and
again and so is the upper bound. The median of the rounds is reported, and the median of each round's ratio to its own
mock, since others may use the machine.
"""

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path

from data import add_images, find_images, read_catalog, with_middle_boxes, write_stage
from fresh_process import run_fresh
from result import Json, print_table, write_result

from psol_ray.tables import RunDir

BACKBONES = ("vgg16", "vgg_gap", "resnet50", "inception_v3", "densenet161", "tf_efficientnet_lite0")
TARGETS = {"gpu": 0.95, "cpu": 0.90}


def main() -> None:
    """Run every backbone, write and print."""
    arguments, load = _parse(), os.getloadavg()[0]
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        run = str(Path(arguments.run).resolve()) if arguments.run else _make_run(arguments, folder)
        for backbone in arguments.backbones.split(","):
            params = {**vars(arguments), "run": run, "backbone": backbone}
            results[backbone] = _ratios(
                run_fresh("train_loaders", "measure", params, keep_memory=True, in_process=arguments.smoke)
            )
            print(f"{backbone}: {results[backbone]['dali']['images_per_s']:.2f} images/s", file=sys.stderr, flush=True)
    metrics = {"backbones": results, "targets_dali_over_mock": TARGETS, "load_average_before": load}
    write_result(arguments.out, {"benchmark": "train_throughput", **vars(arguments)}, metrics)
    print_table([_row(backbone, result) for backbone, result in results.items()])


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", help="run directory with a catalog and boxes")
    add_images(parser)
    parser.add_argument("--backbones", default=",".join(BACKBONES))
    parser.add_argument("--batch-size", type=int, default=8, help="64 or more on a GPU")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("--out", required=True, help="JSON file to write")
    parser.add_argument("--smoke", action="store_true", help="one short round of one small backbone")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.backbones, arguments.batch_size = "tf_efficientnet_lite0", 2
        arguments.rounds, arguments.seconds = 1, 0.1
    find_images(arguments)
    return arguments


def _make_run(arguments: argparse.Namespace, folder: str) -> str:
    catalog = read_catalog(arguments)
    write_stage(RunDir(folder), "catalog", catalog)
    write_stage(RunDir(folder), "boxes", with_middle_boxes(catalog))
    return folder


def _ratios(result: Json) -> Json:
    """Medians of the rounds, beside them."""
    rounds = result["rounds"]
    rates: Json = {"device": result["device"], "gflop_an_image": result["gflop_an_image"], "rounds": rounds}
    for loader in ("mock", "dali", "dataloader"):
        rates[loader] = {
            "images_per_s": statistics.median(r[loader] for r in rounds),
            "of_mock": statistics.median(r[loader] / r["mock"] for r in rounds),
        }
    rates["dali_over_dataloader"] = statistics.median(r["dali"] / r["dataloader"] for r in rounds)
    rates["target_met"] = rates["dali"]["of_mock"] >= TARGETS[result["device"]] and rates["dali_over_dataloader"] > 1
    return rates


def _row(backbone: str, result: Json) -> Json:
    rate = result["mock"]["images_per_s"]
    return {
        "backbone": backbone,
        "GFLOP an image": result["gflop_an_image"],
        "mock, images/s": rate,
        "TFLOP/s": rate * result["gflop_an_image"] / 1000,
        "DALI": result["dali"]["images_per_s"],
        "DALI of mock": result["dali"]["of_mock"],
        "DataLoader": result["dataloader"]["images_per_s"],
        "DataLoader of mock": result["dataloader"]["of_mock"],
    }


if __name__ == "__main__":
    main()
