"""Images/s of training: the same steps fed by a mock loader, by DALI, and by a torchvision DataLoader.

    python benchmarks/train_throughput.py --out FILE.json
    python benchmarks/train_throughput.py --run runs/cub --images CUB_200_2011 --out FILE.json

A run directory has a catalog and boxes (`psol index`, `psol boxes`); without one, each image has a box in its middle.
For each backbone a process trains the joint network (both heads, random weights: speed does not depend on them) and
lets the loaders take turns, `--rounds` times, `--seconds` each. The mock loader gives the same batch again and again
and so is the upper bound. A machine's speed may change within a minute, so turns are short, the mock loader has one
between any two of the others, and each of these is compared with the mean of the two beside it. The median of the turns
is reported, and that of these ratios. On a CPU the loader works on the network's own cores: what it can reach follows
from the CPU time that it takes an image.
"""

import argparse
import os
import statistics
import sys
import tempfile
from itertools import pairwise
from operator import truediv
from pathlib import Path

import numpy as np
import torch
from data import add_images, find_images, read_catalog, with_middle_boxes, write_stage
from fresh_process import run_fresh
from result import Json, print_table, write_result
from train_loaders import PEERS

from psol_ray.tables import BOXES, CATALOG, RunDir
from psol_ray.training.training_set import collect_training_set

BACKBONES = ("vgg16", "vgg_gap", "resnet50", "inception_v3", "densenet161", "tf_efficientnet_lite0")
TARGETS = {"gpu": 0.95, "cpu": 0.90}


def main() -> None:
    """Run every backbone, write and print."""
    arguments, load = _parse(), os.getloadavg()[0]
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        run = str(Path(arguments.run).resolve()) if arguments.run else _make_run(arguments, folder)
        _check(run, arguments.batch_size)
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
    parser.add_argument("--batch-size", type=int, default=64 if torch.cuda.is_available() else 8)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=3)
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


def _check(run: str, batch_size: int) -> None:
    """The DataLoader gives full batches alone, and would be waited for for ever."""
    stages = RunDir(run)
    training_set = collect_training_set(stages.stage("catalog").read(CATALOG), stages.stage("boxes").read(BOXES))
    if len(training_set) < batch_size:
        raise SystemExit(
            f"found {len(training_set)} training images, expected {batch_size} for a batch at least; give more images,"
            " or a smaller --batch-size"
        )


def _ratios(result: Json) -> Json:
    """Medians, beside all turns."""
    rates = dict(result)
    mock = _images_per_s(result["turns"], "mock")
    beside = [statistics.mean(pair) for pair in pairwise(mock)]
    rates["mock"] = {"images_per_s": statistics.median(mock)}
    if result["device"] == "cpu":
        # The network has the cores for a step, and the loader has them beside that.
        loading = result["dali_cpu_ms_an_image"] / 1000 / result["cores"]
        rates["possible_of_mock"] = 1 / (1 + loading * rates["mock"]["images_per_s"])
    ratios = {}
    for i, loader in enumerate(PEERS):
        turns = _images_per_s(result["turns"], loader)
        ratios[loader] = [rate / of for rate, of in zip(turns, beside[i :: len(PEERS)], strict=True)]
        rates[loader] = {
            "images_per_s": statistics.median(turns),
            "of_mock": statistics.median(ratios[loader]),
            "of_mock_quartiles": np.percentile(ratios[loader], [25, 75]).tolist(),
        }
    rates["dali_over_dataloader"] = statistics.median(map(truediv, ratios["dali"], ratios["dataloader"]))
    rates["target_met"] = rates["dali"]["of_mock"] >= TARGETS[result["device"]] and rates["dali_over_dataloader"] > 1
    return rates


def _images_per_s(turns: list[Json], loader: str) -> list[float]:
    return [turn["images_per_s"] for turn in turns if turn["loader"] == loader]


def _row(backbone: str, result: Json) -> Json:
    rate = result["mock"]["images_per_s"]
    return {
        "backbone": backbone,
        "GFLOP an image": result["gflop_an_image"],
        "mock, images/s": rate,
        "TFLOP/s": rate * result["gflop_an_image"] / 1000,
        "DALI": result["dali"]["images_per_s"],
        "DALI of mock": result["dali"]["of_mock"],
        "possible": result.get("possible_of_mock", 1.0),
        "DataLoader": result["dataloader"]["images_per_s"],
        "DataLoader of mock": result["dataloader"]["of_mock"],
    }


if __name__ == "__main__":
    main()
