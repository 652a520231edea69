"""What it takes to export ImageNet's boxes in each format and to import them again, and whether they are the same.

    python benchmarks/formats.py --folder DIR --out FILE.json

Makes a run in DIR with 1,281,167 made-up images of 1,000 classes and a box for each, without an image file, exports
them in each format and imports what was written into another run, each command in a process of its own. Score maps,
200 kB an image, are measured on a hundredth. Formats of a file an image are compared with a loop that does nothing but
make as many files and links. `--formats` measures some of them; what the file says of others stays.
"""

import argparse
import itertools
import json
import os
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
from commands import run_command
from result import Json, print_table, write_result

from psol_ray.formats.registry import WRITTEN
from psol_ray.tables import BOXES, CATALOG, Provenance, RunDir
from psol_ray.tables.boxes_table import area_fractions, boxes_table
from psol_ray.tables.schemas import OK, TRAIN, boxes_array

NUM_IMAGES, NUM_CLASSES = 1_281_167, 1000
_SHARES = {"wsol_maps": 0.01}
_TREES = {"yolo": 2, "voc": 2}  # files and links an image
_MB = 1 << 20


def main() -> None:
    """Make, measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", required=True, help="where runs and exports are made")
    parser.add_argument("--share", type=float, default=1.0, help="of ImageNet's size")
    parser.add_argument("--formats", nargs="+", default=WRITTEN, choices=WRITTEN)
    parser.add_argument("--out", required=True, help="JSON file to write")
    parser.add_argument("--smoke", action="store_true", help="a thousandth of it, by two formats")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.share, arguments.formats = 0.001, ["csv", "coco"]
    folder = Path(arguments.folder).resolve()
    rows = {row["format"]: row for row in _measured_before(Path(arguments.out))}
    for row in _measure(folder, arguments.formats, arguments.share):
        rows[row["format"]] = row
        write_result(arguments.out, {"benchmark": "formats", **vars(arguments)}, {"formats": list(rows.values())})
    print_table([{name: row[name] for name in row if name != "date"} for row in rows.values()])


def _measured_before(out: Path) -> list[Json]:
    return json.loads(out.read_text())["metrics"]["formats"] if out.exists() else []


def _measure(folder: Path, formats: list[str], share: float) -> Iterator[Json]:
    for name in formats:
        num_images = round(NUM_IMAGES * share * (1 if share < 1 else _SHARES.get(name, 1)))
        run_dir = folder / f"run_{num_images}"
        if not (run_dir / "boxes/_SUCCESS").exists():
            _make_run(run_dir, num_images)
        yield {"format": name, "images": num_images, **_measure_format(folder, run_dir, name, num_images)}


def _measure_format(folder: Path, run_dir: Path, name: str, num_images: int) -> Json:
    out, imported = folder / "exported", folder / "imported"
    for path in (out, imported):
        shutil.rmtree(path, ignore_errors=True)
    root = folder / "images"
    root.mkdir(exist_ok=True)
    flags = ["--data.root", str(root), "--data.layout", "folder"]
    exported = ["--export.table", "boxes", "--export.format", name, "--export.out", str(out)]
    floor = _make_files(folder / "bare", num_images * _TREES[name]) if name in _TREES else None
    done = run_command(f"export {name}", "--run_dir", str(run_dir), *flags, *exported)
    size = sum(entry.stat(follow_symlinks=False).st_size for entry in _files(out))
    shutil.copytree(run_dir / "catalog", imported / "catalog")
    source = ["--boxes.imported.format", name, "--boxes.imported.path", str(out)]
    back = run_command(f"import {name}", "--run_dir", str(imported), *flags, *source)
    return {
        "export_s": done["seconds"],
        "export_mb": done["peak_mb"],
        "bare_files_s": floor,
        "size_mb": size / _MB,
        "import_s": back["seconds"],
        "import_mb": back["peak_mb"],
        **_compare(run_dir, imported),
        "date": datetime.now(UTC).date().isoformat(),
    }


def _files(folder: Path) -> Iterator["os.DirEntry[str]"]:
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from _files(Path(entry.path))
        else:
            yield entry


def _make_files(folder: Path, count: int) -> float:
    """Seconds to make half as many files of 50 bytes, and as many links, in folders of a thousand."""
    shutil.rmtree(folder, ignore_errors=True)
    started = time.perf_counter()
    for i in range(count // 2):
        below = f"{folder}/{i // 1000}"
        if i % 1000 == 0:
            os.makedirs(below)
        file = os.open(f"{below}/{i}.txt", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        os.write(file, b"0" * 50)
        os.close(file)
        os.symlink(folder, f"{below}/{i}.jpg")
    seconds = time.perf_counter() - started
    shutil.rmtree(folder)
    return seconds


def _compare(run_dir: Path, imported: Path) -> Json:
    """How far corners are off that were exported and imported again."""
    before, after = (RunDir(str(run)).stage("boxes").read(BOXES).sort_by("image_id") for run in (run_dir, imported))
    assert before["image_id"].equals(after["image_id"])
    off_N = np.abs(boxes_array(before) - boxes_array(after)).max(axis=1)
    return {"share_equal": float((off_N == 0).mean()), "largest_difference_px": float(off_N.max())}


def _make_run(run_dir: Path, num_images: int) -> None:
    """A catalog and boxes, as stages that are complete: boxes of any size and place, not in whole pixels."""
    shutil.rmtree(run_dir, ignore_errors=True)
    random = np.random.default_rng(0)
    num_classes = max(NUM_CLASSES * num_images // NUM_IMAGES, 2)
    label_N = np.sort(np.arange(num_images) % num_classes)
    wnids = [f"n{label:08d}" for label in range(num_classes)]
    sizes_N2 = random.integers(200, 600, (num_images, 2))
    catalog = pa.table(
        {
            "image_id": pa.array(f"train/{wnids[label]}/{wnids[label]}_{i}.JPEG" for i, label in enumerate(label_N)),
            "label": pa.array(label_N, pa.int32()),
            "class_name": pa.array(wnids).take(pa.array(label_N)),
            "split": pa.array([TRAIN]).take(pa.array(np.zeros(num_images, np.int8))),
            "width": pa.array(sizes_N2[:, 0], pa.int32()),
            "height": pa.array(sizes_N2[:, 1], pa.int32()),
            "gt_boxes": pa.array([[]], CATALOG.field("gt_boxes").type).take(pa.array(np.zeros(num_images, np.int8))),
        }
    ).cast(CATALOG)
    corners_N22 = np.sort(random.random((num_images, 2, 2)), axis=1) * sizes_N2[:, None]
    boxes_N4 = corners_N22.reshape(-1, 4)
    boxes = boxes_table(
        catalog, boxes_N4, np.full(num_images, OK), area_fraction=area_fractions(boxes_N4, sizes_N2), sign_margin=0.5
    )
    run = RunDir(str(run_dir))
    made_by = Provenance("catalog", {}, {})
    stage = run.stage("catalog")
    stage.write_part("part-00000", catalog, made_by)
    stage.complete(made_by)
    stage, boxes_by = run.stage("boxes"), Provenance("boxes", {}, {"catalog": made_by.fingerprint})
    starts = np.searchsorted(label_N, np.arange(num_classes + 1))
    for label, (start, end) in enumerate(itertools.pairwise(starts)):
        stage.write_part(f"part-{wnids[label]}", boxes.slice(start, end - start), boxes_by)
    stage.complete(boxes_by)


if __name__ == "__main__":
    main()
