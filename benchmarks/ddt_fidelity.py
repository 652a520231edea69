"""How well a run's pseudo boxes agree with a literal transcription of the algorithm, box for box.

    python benchmarks/ddt_fidelity.py --run runs/cub --weights vgg16_features.safetensors --out fidelity.json

The transcription (tests/ddt/reference.py) decodes with Pillow, computes float32 features, runs scikit-learn's PCA over
each class's training images, and labels components with scikit-image. With `--against RUN` another run's boxes, made in
float32 say, take the transcription's place.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import yaml
from result import print_table, write_result

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.ddt.reference import reference_boxes

from psol_ray.evaluation import image_ious
from psol_ray.geometry.boxes import iou
from psol_ray.tables import BOXES, CATALOG, RunDir
from psol_ray.tables.schemas import boxes_array


def main() -> None:
    """Compare every class, print a line each, write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", required=True, help="run directory with catalog and boxes")
    parser.add_argument("--weights", help="VGG16's convolutions as .safetensors, for the transcription")
    parser.add_argument("--against", help="run directory to compare with instead")
    parser.add_argument("--out", required=True, help="JSON file to write")
    parser.add_argument("--smoke", action="store_true", help="the first class only")
    arguments = parser.parse_args()
    run = RunDir(arguments.run)
    root = Path(yaml.safe_load(run.read_text("config.yaml") or "")["data"]["root"])
    catalog, boxes = run.stage("catalog").read(CATALOG), run.stage("boxes").read(BOXES)
    against = RunDir(arguments.against).stage("boxes").read(BOXES) if arguments.against else None
    agreement, ours_right, theirs_right, seconds = [], [], [], 0.0
    for name in sorted(set(catalog.column("class_name").to_pylist()))[: 1 if arguments.smoke else None]:
        rows = catalog.filter(pc.field("class_name") == name)
        ours = _rows_of(boxes, rows)
        images = [
            (str(root / image_id), split == "train")
            for image_id, split in zip(rows["image_id"].to_pylist(), rows["split"].to_pylist(), strict=True)
        ]
        started = time.monotonic()
        theirs_N4 = _boxes_of(against, rows) if against else reference_boxes(arguments.weights, images)
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
    }
    if not arguments.against:
        metrics["reference_images_per_s"] = len(together) / seconds
    _write(arguments, run, metrics)


def _rows_of(boxes: Any, rows: Any) -> Any:
    return boxes.take(pc.index_in(rows.column("image_id"), boxes.column("image_id").combine_chunks()))


def _boxes_of(boxes: Any, rows: Any) -> np.ndarray:
    return boxes_array(_rows_of(boxes, rows))


def _right(rows: Any, boxes_N4: np.ndarray) -> np.ndarray:
    best = [max(iou(np.array(gt), box[None])) for gt, box in zip(rows["gt_boxes"].to_pylist(), boxes_N4, strict=True)]
    return np.array(best) >= 0.5


def _write(arguments: argparse.Namespace, run: RunDir, metrics: dict[str, float]) -> None:
    made_by = run.stage("boxes").require()
    params = {"smoke": arguments.smoke, "boxes": dict(made_by.config), "against": arguments.against}
    write_result(arguments.out, {"benchmark": "ddt_fidelity", **params}, metrics)
    print_table([{"metric": name, "value": value} for name, value in metrics.items()])


if __name__ == "__main__":
    main()
