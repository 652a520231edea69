"""Trained runs side by side: curves, scores and minutes, out of their run directories.

    python benchmarks/train_curves.py --out FILE.json "VGG-GAP, separate=runs/a" "VGG-GAP, joint=runs/b"

Each run directory holds what `psol train`, `psol predict` and `psol evaluate` left there.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import yaml
from result import print_table, write_result

Json = dict[str, Any]

MODELS = ("localizer", "classifier", "joint")


def main() -> None:
    """Read every run, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="NAME=RUN_DIR")
    parser.add_argument("--out", required=True, help="JSON file to write")
    arguments = parser.parse_args()
    named = dict(entry.split("=", 1) for entry in arguments.runs)
    runs = {name: read_run(Path(folder)) for name, folder in named.items()}
    write_result(arguments.out, {"benchmark": "train_curves", "runs": named}, {"runs": runs})
    print_table([_row(name, run) for name, run in runs.items()])


def read_run(folder: Path) -> Json:
    """Scores, and of each network its rows, seconds and settings."""
    config = yaml.safe_load((folder / "config.yaml").read_text())
    models = {}
    for name in MODELS:
        if (folder / name / "_SUCCESS").exists():
            summary = json.loads((folder / name / "_SUCCESS").read_text())["summary"]
            rows = [json.loads(line) for line in (folder / name / "metrics.jsonl").read_text().splitlines()]
            models[name] = {"seconds": summary["seconds"], "rows": [r for r in rows if "loss" in r], **config[name]}
    return {"metrics": json.loads((folder / "metrics.json").read_text()), "models": models}


def _row(name: str, run: Json) -> Json:
    found, metrics = {}, run["metrics"]
    found["run"] = name
    found["DDT, test"] = 100 * metrics["pseudo_boxes"]["test"]["gt_known"]
    found["GT-Known"] = 100 * metrics["localization"]["gt_known"]
    for key in ("top1_loc", "top5_loc"):
        found[key] = 100 * metrics["localization"][key]
    found["top1"] = 100 * metrics["classification"]["top1"]
    found["minutes"] = sum(model["seconds"] for model in run["models"].values()) / 60
    return found


if __name__ == "__main__":
    main()
