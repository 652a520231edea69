"""What `psol label` makes of one folder in two layouts, scored by COCO's own evaluation, and how its memory grows.

    python benchmarks/labels.py --images CUB_200_2011 --layout cub --weights vgg16.safetensors --out FILE.json

The images, whose true boxes are known, are linked into class folders without any boxes, and into a COCO tree with
annotations, which this script writes itself. `psol label` labels both in processes of their own; pycocotools reads the
COCO files that come out and scores them against the annotations. For memory, class folders in which each image is
linked `--copies` times are labelled beside those with each once, by small images, and the most that a process has had
is compared.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from commands import run_command
from data import LITE0, add_images, find_images, read_catalog
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from result import Json, print_table, write_result

from psol_ray.storage.addresses import image_addresses
from psol_ray.tables.schemas import TRAIN

_SMALL = 96  # side in pixels, where memory alone matters


def main() -> None:
    """Label, score, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_images(parser)
    parser.add_argument("--backbone", default="vgg16")
    parser.add_argument("--weights", help="file; without it, EfficientNet-Lite0 with a package's weights is used")
    parser.add_argument("--input-size", type=int, default=448)
    parser.add_argument("--copies", type=int, default=10)
    parser.add_argument("--out", required=True, help="JSON file to write")
    parser.add_argument("--smoke", action="store_true", help="small images, two copies")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.input_size, arguments.copies = _SMALL, 2
    if arguments.weights is None:
        arguments.backbone, arguments.weights = LITE0
    find_images(arguments)
    with tempfile.TemporaryDirectory() as folder:
        metrics = _measure(arguments, read_catalog(arguments), Path(folder))
    write_result(arguments.out, {"benchmark": "labels", **vars(arguments)}, metrics)
    print_table(metrics["layouts"])
    print_table(metrics["memory"])


def _measure(arguments: argparse.Namespace, catalog: pa.Table, folder: Path) -> Json:
    files = [Path(str(address)).resolve() for address in image_addresses(arguments.images, catalog)]
    network = ["--boxes.backbone", arguments.backbone, "--boxes.weights", str(arguments.weights)]
    trees = {"classes": folder / "classes", "coco": folder / "coco"}
    _link_classes(trees["classes"], catalog, files, copies=1)
    truth = _make_coco_tree(trees["coco"], catalog, files)
    layouts = []
    for layout, tree in trees.items():
        done = _label(folder / f"{layout}_out", tree, *network, "--boxes.input_size", str(arguments.input_size))
        scores = _score(folder / f"{layout}_out" / "coco", truth)
        layouts.append({"layout": layout, "images": len(files), **done, **scores})
    _link_classes(folder / "copies", catalog, files, copies=arguments.copies)
    small = [*network, "--boxes.input_size", str(_SMALL), "--boxes.memory_gb", "0.05"]
    memory = []
    for copies, tree in ((1, trees["classes"]), (arguments.copies, folder / "copies")):
        done = _label(folder / f"{tree.name}_small", tree, *small)
        memory.append({"images": len(files) * copies, **done})
    return {"layouts": layouts, "memory": memory}


def _label(out: Path, tree: Path, *flags: str) -> Json:
    """Seconds and most memory in MB of `psol label`."""
    done = run_command("label", str(tree), "--out", str(out), "--format", "coco", *flags)
    return {"seconds": done["seconds"], "peak_mb": done["peak_mb"]}


def _link_classes(root: Path, catalog: pa.Table, files: list[Path], copies: int) -> None:
    for number, (class_name, file) in enumerate(zip(catalog["class_name"].to_pylist(), files, strict=True), start=1):
        (root / class_name).mkdir(parents=True, exist_ok=True)
        for copy in range(copies):
            (root / class_name / _name(number, copy, file)).symlink_to(file)


def _name(number: int, copy: int, file: Path) -> str:
    """One of its own: files of two classes may have the same."""
    return f"{number}_{copy}{file.suffix}"


def _make_coco_tree(root: Path, catalog: pa.Table, files: list[Path]) -> COCO:
    """Images by links and annotations a split, as COCO has them; returns the annotations of all."""
    (root / "annotations").mkdir(parents=True)
    (root / "images").mkdir()
    rows = catalog.to_pylist()
    for number, file in enumerate(files, start=1):
        name = _name(number, 0, file)
        (root / "images" / name).symlink_to(file)
        rows[number - 1] |= {"number": number, "file_name": name}
    for split in ("train", "val"):
        some = [row for row in rows if (row["split"] == TRAIN) == (split == "train")]
        (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(_annotations(some)))
    whole = root.parent / "truth.json"
    whole.write_text(json.dumps(_annotations(rows)))
    return COCO(str(whole))


def _annotations(rows: list[Json]) -> Json:
    boxes = [(row, box) for row in rows for box in row["gt_boxes"]]
    classes = sorted({(row["label"], row["class_name"]) for row in rows})
    return {
        "images": [
            {"id": row["number"], "file_name": row["file_name"], "width": row["width"], "height": row["height"]}
            for row in rows
        ],
        "categories": [{"id": label + 1, "name": name} for label, name in classes],
        "annotations": [
            {
                "id": number,
                "image_id": row["number"],
                "category_id": row["label"] + 1,
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "area": (x1 - x0) * (y1 - y0),
                "iscrowd": 0,
            }
            for number, (row, (x0, y0, x1, y1)) in enumerate(boxes, start=1)
        ],
    }


def _score(exported: Path, truth: COCO) -> Json:
    """COCO's average precision of what was exported, and the share of boxes that have an IoU of at least 0.5."""
    numbers = {image["file_name"]: image["id"] for image in truth.dataset["images"]}
    labels = {category["name"]: category["id"] for category in truth.dataset["categories"]}
    results = list(_results(exported, numbers, labels))
    evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    best = [values.max() for values in evaluation.ious.values() if len(values)]
    return {
        "boxes": len(results),
        "ap": float(evaluation.stats[0]),
        "ap50": float(evaluation.stats[1]),
        "share_right": float(np.mean(np.array(best) >= 0.5)),
    }


def _results(exported: Path, numbers: dict[str, int], labels: dict[str, int]) -> Iterator[Json]:
    """Detections by the numbers of the truth: each file has its own."""
    for path in sorted(exported.glob("instances_*.json")):
        images = COCO(str(path))
        detections = images.loadRes(str(path).replace("instances_", "detections_"))
        for found in detections.dataset["annotations"]:
            name = Path(images.imgs[found["image_id"]]["file_name"]).name
            category = labels[images.cats[found["category_id"]]["name"]]
            yield {
                "image_id": numbers[name],
                "category_id": category,
                "bbox": found["bbox"],
                "score": found["score"],
            }


if __name__ == "__main__":
    main()
