"""What the commands take at ImageNet's size: time, and the driver's memory, without a GPU and without ImageNet.

    python benchmarks/imagenet_size.py --images CUB_200_2011 --layout cub --folder DIR --out FILE.json

Makes 1,281,167 training and 50,000 validation images in DIR, hard links to copies of a few hundred small JPEGs, with
Kaggle's CSV files of boxes (544,546 boxed training images), which takes some minutes, once. Then runs each command in a
process of its own, boxes and predictions being made up; the memory is the driver's alone.
"""

import argparse
import csv
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from commands import peak_mb, run_command
from data import add_images, find_images, read_catalog, with_middle_boxes
from PIL import Image
from result import Json, print_table, write_result

from psol_ray.tables import BOXES, CATALOG, PREDICTIONS, Provenance, RunDir
from psol_ray.tables.boxes_table import image_sizes
from psol_ray.tables.schemas import TEST, box_columns

NUM_CLASSES, NUM_TRAIN, NUM_VAL, NUM_BOXED = 1000, 1_281_167, 50_000, 544_546
_NUM_FILES = 300
_SMALL = 64  # pixels: bytes on a disk are not what is measured


def main() -> None:
    """Make, measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_images(parser)
    parser.add_argument("--folder", required=True, help="where images and the run are made")
    parser.add_argument("--share", type=float, default=1.0, help="of ImageNet's size")
    parser.add_argument("--out", required=True, help="JSON file to write")
    parser.add_argument("--smoke", action="store_true", help="a thousandth of it, without Ray")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.share = 0.001
    find_images(arguments)
    folder = Path(arguments.folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    root = folder / f"imagenet_{arguments.share:g}"
    if not (root / "complete").exists():
        _make(arguments, root)
    run_dir = folder / "run"
    shutil.rmtree(run_dir, ignore_errors=True)
    rows = list(_measure(root, run_dir, smoke=arguments.smoke))
    write_result(arguments.out, {"benchmark": "imagenet_size", **vars(arguments)}, {"commands": rows})
    print_table(
        [
            {"command": row["command"], "seconds": row["seconds"], "driver's peak": f"{row['peak_mb']:,.0f} MB"}
            for row in rows
        ]
    )


def _make(arguments: argparse.Namespace, root: Path) -> None:
    shutil.rmtree(root, ignore_errors=True)
    base = root / "ILSVRC/Data/CLS-LOC"
    (base / "val").mkdir(parents=True)
    files = _small_copies(arguments, root / "files")
    counts = [round(n * arguments.share) for n in (NUM_TRAIN, NUM_VAL, NUM_BOXED)]
    names: list[tuple[str, str]] = []
    for label in range(NUM_CLASSES):
        wnid = f"n{label:08d}"
        (base / "train" / wnid).mkdir(parents=True)
        number = counts[0] // NUM_CLASSES + (label < counts[0] % NUM_CLASSES)
        for i in range(max(number, 1)):
            name = f"{wnid}_{i}"
            os.link(files[len(names) % len(files)], base / "train" / wnid / f"{name}.JPEG")
            names.append((name, wnid))
    boxed = [names[i] for i in np.linspace(0, len(names) - 1, counts[2]).astype(int)]
    _write_solution(root / "LOC_train_solution.csv", boxed)
    validation = [(f"ILSVRC2012_val_{i:08d}", f"n{i % NUM_CLASSES:08d}") for i in range(counts[1])]
    for i, (name, _) in enumerate(validation):
        os.link(files[i % len(files)], base / "val" / f"{name}.JPEG")
    _write_solution(root / "LOC_val_solution.csv", validation)
    (root / "complete").touch()


def _small_copies(arguments: argparse.Namespace, folder: Path) -> list[Path]:
    folder.mkdir(parents=True)
    names = read_catalog(arguments)["image_id"].to_pylist()[:_NUM_FILES]
    files = []
    for i, name in enumerate(names):
        # Several links of one file would be too many for one inode of some file systems.
        files.append(folder / f"{i}.JPEG")
        Image.open(f"{arguments.images}/{name}").convert("RGB").resize((_SMALL, _SMALL)).save(files[-1], "JPEG")
    return files


def _write_solution(path: Path, images: Sequence[tuple[str, str]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["ImageId", "PredictionString"])
        writer.writerows([name, f"{wnid} 5 5 40 50 "] for name, wnid in images)


def _measure(root: Path, run_dir: Path, *, smoke: bool) -> Iterator[Json]:
    flags = ["--run_dir", str(run_dir), "--data.root", str(root), "--data.layout", "imagenet"]
    # Ray takes longer to start than all the rest of a thousandth.
    yield run_command("index", *flags, *(["--cluster.address", "in-process"] if smoke else []))
    if not smoke:
        yield run_command("index, again", *flags)
        yield _first_class(run_dir, flags)
    _make_up_tables(run_dir)
    yield run_command("evaluate", *flags)
    yield run_command("report", *flags)
    for table in ("boxes", "predictions"):
        for kind in ("csv",) if smoke else ("csv", "wsol", "psol_json"):
            out = run_dir.parent / "exported"
            shutil.rmtree(out, ignore_errors=True)
            yield run_command(
                f"export {table} {kind}",
                *flags,
                "--export.table",
                table,
                "--export.format",
                kind,
                "--export.out",
                str(out),
            )


def _first_class(run_dir: Path, flags: Sequence[str]) -> Json:
    """Until a worker has made the first class's boxes, with a network that costs next to nothing."""
    network = ["--boxes.backbone", "test_resnet", "--boxes.weights", "random", "--boxes.input_size", "64"]
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "psol_ray.cli", "boxes", *flags, *network],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    peak = 0.0
    while process.poll() is None and not list((run_dir / "boxes").glob("*.parquet")):
        peak = max(peak, peak_mb(process.pid))
        time.sleep(0.05)
    seconds = time.perf_counter() - started
    process.terminate()
    process.wait()
    shutil.rmtree(run_dir / "boxes")
    return {"command": "boxes, until the first class is done", "seconds": seconds, "peak_mb": peak}


def _make_up_tables(run_dir: Path) -> None:
    """Boxes a class and predictions, as stages that are complete."""
    run = RunDir(str(run_dir))
    catalog_made_by = run.stage("catalog").require()
    catalog = run.stage("catalog").read(CATALOG)
    boxes, made_by = with_middle_boxes(catalog), Provenance("boxes", {}, {"catalog": catalog_made_by.fingerprint})
    stage = run.stage("boxes")
    order = boxes.select(BOXES.names).sort_by("label")
    label_N = order["label"].to_numpy()
    starts = np.searchsorted(label_N, np.arange(NUM_CLASSES + 1))
    for label in range(NUM_CLASSES):
        stage.write_part(f"part-{label:04d}", order.slice(starts[label], starts[label + 1] - starts[label]), made_by)
    stage.complete(made_by)
    test = catalog.filter(pc.equal(catalog["split"], TEST))
    sizes_N2 = image_sizes(test)
    boxes_N4 = np.concatenate([0.1 * sizes_N2, 0.9 * sizes_N2], axis=1)
    columns = {
        "image_id": test["image_id"],
        **box_columns(boxes_N4),
        "top_labels": pa.array([[label] for label in test["label"].to_pylist()], PREDICTIONS.field("top_labels").type),
        "top_probs": pa.array([[0.5]] * len(test), PREDICTIONS.field("top_probs").type),
    }
    fingerprints = {name: run.stage(name).require().fingerprint for name in ("catalog",)}
    stage, made_by = run.stage("predictions"), Provenance("predictions", {}, fingerprints)
    stage.write_part("part-00000", pa.table(columns).cast(PREDICTIONS), made_by)
    stage.complete(made_by)


if __name__ == "__main__":
    main()
