"""How well a run's pseudo boxes agree with a literal transcription of the algorithm, box for box.

    python benchmarks/ddt_fidelity.py --run runs/cub --weights vgg16_features.safetensors --out fidelity.json

The transcription (tests/ddt/reference.py) decodes with Pillow, computes float32 features, runs scikit-learn's PCA over
each class's training images, and labels components with scikit-image.
"""

import argparse
import json
import platform
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import torch
import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))

from psol_ray.evaluation import image_ious
from psol_ray.geometry.boxes import iou
from psol_ray.tables import BOXES, CATALOG, RunDir
from psol_ray.tables.schemas import boxes_array
from tests.ddt.reference import reference_boxes


def main() -> None:
    """Compare every class, print a line each, write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", required=True, help="run directory with catalog and boxes")
    parser.add_argument("--weights", required=True, help="VGG16's convolutions as .safetensors")
    parser.add_argument("--out", required=True, help="JSON file to write")
    parser.add_argument("--smoke", action="store_true", help="the first class only")
    arguments = parser.parse_args()
    run = RunDir(arguments.run)
    root = Path(yaml.safe_load(run.read_text("config.yaml") or "")["data"]["root"])
    catalog, boxes = run.stage("catalog").read(CATALOG), run.stage("boxes").read(BOXES)
    agreement, ours_right, theirs_right, seconds = [], [], [], 0.0
    for name in sorted(set(catalog.column("class_name").to_pylist()))[: 1 if arguments.smoke else None]:
        rows = catalog.filter(pc.field("class_name") == name)
        ours = boxes.take(pc.index_in(rows.column("image_id"), boxes.column("image_id").combine_chunks()))
        images = [
            (str(root / image_id), split == "train")
            for image_id, split in zip(rows["image_id"].to_pylist(), rows["split"].to_pylist(), strict=True)
        ]
        started = time.monotonic()
        theirs_N4 = reference_boxes(arguments.weights, images)
        seconds += time.monotonic() - started
        agreement.append(iou(boxes_array(ours), theirs_N4))
        ours_right.append(image_ious(catalog, ours) >= 0.5)
        theirs_right.append(_right(rows, theirs_N4))
        print(f"{name}: mean IoU {agreement[-1].mean():.4f} over {len(rows)} images", flush=True)
    together = np.concatenate(agreement)
    metrics = {
        "images": len(together),
        "mean_iou": float(together.mean()),
        "min_iou": float(together.min()),
        "iou_at_least_0.99": float((together >= 0.99).mean()),
        "gt_known_run": float(np.concatenate(ours_right).mean()),
        "gt_known_reference": float(np.concatenate(theirs_right).mean()),
        "reference_images_per_s": len(together) / seconds,
    }
    _write(arguments, run, metrics)


def _right(rows: Any, boxes_N4: np.ndarray) -> np.ndarray:
    best = [max(iou(np.array(gt), box[None])) for gt, box in zip(rows["gt_boxes"].to_pylist(), boxes_N4, strict=True)]
    return np.array(best) >= 0.5


def _write(arguments: argparse.Namespace, run: RunDir, metrics: dict[str, float]) -> None:
    made_by = run.stage("boxes").require()
    result = {
        "params": {"command": " ".join(sys.argv), "smoke": arguments.smoke, "boxes": dict(made_by.config)},
        "metrics": metrics,
        "environment": {
            "date": datetime.now(UTC).date().isoformat(),
            "cpu": platform.processor() or torch.cpu.get_capabilities().get("cpu_name"),
            "cores": torch.get_num_threads(),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "psol_ray": made_by.version,
        },
    }
    Path(arguments.out).write_text(json.dumps(result, indent=2) + "\n")
    print("\n".join(["| metric | value |", "| --- | --- |", *(f"| {k} | {v:.4f} |" for k, v in metrics.items())]))


if __name__ == "__main__":
    main()
