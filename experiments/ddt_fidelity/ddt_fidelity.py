"""How well pseudo boxes agree with a literal transcription of the algorithm, box for box.

    python experiments/ddt_fidelity/ddt_fidelity.py --out FILE.json
    python experiments/ddt_fidelity/ddt_fidelity.py --run runs/cub --weights vgg16_features.safetensors --out FILE.json

The transcription (tests/generators/ddt/reference.py) decodes with Pillow, computes float32 features, runs
scikit-learn's PCA over each class's training images, and labels components with scikit-image. With `--against RUN`
another run's boxes, made in float32 say, take the transcription's place. Without `--run`, DDT's worker draws boxes on
some demo images, by a VGG16 of random weights where none are named: of no use as boxes, but both must find the same.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import safetensors.torch
import yaml
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from data import add_images, find_images, read_catalog, whole_classes
from result import Json, print_table, write_result
from throughput_parts import CORES, GPU

from psol_ray.evaluation import ScoringProtocol
from psol_ray.generators.ddt.settings import DdtSettings
from psol_ray.generators.ddt.worker import DdtWorker
from psol_ray.generators.settings import InferenceSettings
from psol_ray.geometry.boxes import iou
from psol_ray.models.backbones import find_backbone
from psol_ray.models.weights import load_state
from psol_ray.storage.addresses import image_addresses
from psol_ray.tables import BOXES, CATALOG, RunDir
from psol_ray.tables.schemas import boxes_array
from psol_ray.work.jobs import Resources, Task
from tests.generators.ddt.reference import reference_boxes

Boxes = Callable[[pa.Table], NDArray[np.float64]]
"""Catalog rows of a class to its boxes `(N, 4)` in pixels."""


def main() -> None:
    """Compare every class, print a line each, write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_images(parser)
    parser.add_argument("--run", help="run directory with catalog and boxes")
    parser.add_argument("--weights", help="VGG16's convolutions as .safetensors")
    parser.add_argument("--against", help="run directory to compare with instead")
    parser.add_argument("--num-images", type=int, default=40, help="whole classes until there are so many")
    parser.add_argument("--out", required=True, help="JSON file to write")
    parser.add_argument("--smoke", action="store_true", help="the first 6 images")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        weights = arguments.weights or _random_weights(folder)
        catalog, ours, made_by = _of_run(arguments) if arguments.run else _of_worker(arguments, weights)
        theirs = _of_table(RunDir(arguments.against)) if arguments.against else _transcription(arguments, weights)
        catalog = catalog.slice(0, 6) if arguments.smoke else catalog
        metrics = _compare(catalog, ours, theirs)
    params = {"benchmark": "ddt_fidelity", **vars(arguments), "boxes": made_by}
    write_result(arguments.out, params, metrics)
    print_table([{"metric": name, "value": value} for name, value in metrics.items()])


def _random_weights(folder: str) -> str:
    path = f"{folder}/vgg16.safetensors"
    safetensors.torch.save_file(load_state(find_backbone("vgg16"), "random", for_features=True), path)
    return path


def _of_run(arguments: argparse.Namespace) -> tuple[pa.Table, Boxes, Json]:
    run = RunDir(arguments.run)
    arguments.images = yaml.safe_load(run.read_text("config.yaml") or "")["data"]["root"]
    return run.stage("catalog").read(CATALOG), _of_table(run), dict(run.stage("boxes").require().config)


def _of_table(run: RunDir) -> Boxes:
    boxes = run.stage("boxes").read(BOXES)
    image_ids = boxes.column("image_id").combine_chunks()
    return lambda rows: boxes_array(boxes.take(pc.index_in(rows.column("image_id"), image_ids)))


def _of_worker(arguments: argparse.Namespace, weights: str) -> tuple[pa.Table, Boxes, Json]:
    find_images(arguments)
    settings, inference = DdtSettings(weights=weights), InferenceSettings(memory_gb=4.0)
    state = load_state(find_backbone(settings.backbone), weights, for_features=True)
    worker = DdtWorker(settings, inference, state, Resources(CORES, GPU))

    def draw(rows: pa.Table) -> NDArray[np.float64]:
        task = Task("class", rows, image_addresses(arguments.images, rows), lambda _: None)
        return boxes_array(worker.process(task)["boxes"])

    catalog = whole_classes(read_catalog(arguments), arguments.num_images)
    return catalog.sort_by([("label", "ascending"), ("split", "descending")]), draw, {"backbone": settings.backbone}


def _transcription(arguments: argparse.Namespace, weights: str) -> Boxes:
    def draw(rows: pa.Table) -> NDArray[np.float64]:
        paths = map(Path, map(str, image_addresses(arguments.images, rows)))
        is_train = (split == "train" for split in rows["split"].to_pylist())
        return reference_boxes(Path(weights), list(zip(paths, is_train, strict=True)))

    return draw


def _compare(catalog: pa.Table, ours: Boxes, theirs: Boxes) -> Json:
    agreement, ours_right, theirs_right, seconds = [], [], [], 0.0
    protocol = ScoringProtocol()
    for name in sorted(set(catalog.column("class_name").to_pylist())):
        rows = catalog.filter(pc.field("class_name") == name)
        started = time.monotonic()
        theirs_N4 = theirs(rows)
        seconds += time.monotonic() - started
        ours_N4 = ours(rows)
        agreement.append(iou(ours_N4, theirs_N4))
        ours_right.append(protocol.right(protocol.ious(rows, ours_N4)))
        theirs_right.append(protocol.right(protocol.ious(rows, theirs_N4)))
        print(f"{name}: mean IoU {agreement[-1].mean():.4f} over {len(rows)} images", flush=True)
    together = np.concatenate(agreement)
    return {
        "images": len(together),
        "mean_iou": float(together.mean()),
        "min_iou": float(together.min()),
        "iou_at_least_0.99": float((together >= 0.99).mean()),
        "gt_known_run": float(np.concatenate(ours_right).mean()),
        "gt_known_reference": float(np.concatenate(theirs_right).mean()),
        "reference_images_per_s": len(together) / seconds,
    }


if __name__ == "__main__":
    main()
