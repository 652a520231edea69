"""How long it takes to score a data set, against SciPy's bootstrap.

    python experiments/evaluation/evaluation.py --out FILE.json
    python experiments/evaluation/evaluation.py --metadata wsolevaluation_metadata/ILSVRC --out FILE.json

Without metadata the images are made up: as many as ImageNet's validation set, each with a box. The boxes that are
scored are the best constant box, with labels that are right for half of the images: other boxes take as long.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy.stats import bootstrap as scipy_bootstrap

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from result import Json, print_table, write_result

from psol_ray.catalog.layouts import list_images
from psol_ray.evaluation import ScoringProtocol, evaluate
from psol_ray.evaluation.baselines import baselines, best_constant_box
from psol_ray.evaluation.bootstrap import bootstrap
from psol_ray.evaluation.sweep import sweep
from psol_ray.geometry.boxes import scale
from psol_ray.geometry.crops import PAPER_CROP_SHARE
from psol_ray.tables import BOXES, CATALOG, MAPS, PREDICTIONS
from psol_ray.tables.boxes_table import image_sizes
from psol_ray.tables.schemas import box_columns

_FIGURES = 10
_CELLS = 7  # 224 pixels behind a stride of 32


def main() -> None:
    """Time every part, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--metadata", help="folder of wsolevaluation's metadata, with test in it")
    parser.add_argument("--num-images", type=int, default=50_000, help="where there is no metadata")
    parser.add_argument("--num-maps", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", required=True, help="JSON file to write")
    parser.add_argument("--smoke", action="store_true", help="one round of 500 images and 20 maps")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.num_images, arguments.num_maps, arguments.rounds = 500, 20, 1
    catalog = list_images("wsol", arguments.metadata) if arguments.metadata else _made_up(arguments.num_images)
    rows = [
        {"part": name, "seconds": _best(arguments.rounds, work)} for name, work in _parts(catalog, arguments.num_maps)
    ]
    write_result(arguments.out, {"benchmark": "evaluation", **vars(arguments)}, {"images": len(catalog), "parts": rows})
    print_table(rows)


def _parts(catalog: pa.Table, num_maps: int) -> list[tuple[str, Callable[[], object]]]:
    predictions, no_boxes = _constant_box(catalog), BOXES.empty_table()
    hits_NF = (np.random.default_rng(0).random((len(catalog), _FIGURES)) < 0.5).astype(float)
    images, maps = _class_maps(catalog, num_maps)
    original, crop = ScoringProtocol(), ScoringProtocol(PAPER_CROP_SHARE)
    return [
        ("figures, intervals and baselines, original", lambda: evaluate(catalog, no_boxes, predictions, original)),
        ("baselines alone, original", lambda: baselines(catalog, original)),
        ("figures, intervals and baselines, crop", lambda: evaluate(catalog, no_boxes, predictions, crop)),
        ("baselines alone, crop", lambda: baselines(catalog, crop)),
        (f"bootstrap of {_FIGURES} figures", lambda: bootstrap(hits_NF)),
        (f"scipy.stats.bootstrap of {_FIGURES} figures", lambda: _scipy(hits_NF)),
        (f"sweep of {len(images)} class maps with intervals", lambda: sweep(images, maps)),
    ]


def _made_up(count: int) -> pa.Table:
    """A test split of 50 images a class; boxes of any place and size."""
    rng = np.random.default_rng(0)
    sizes_N2 = rng.integers(300, 600, (count, 2))
    corners_N22 = np.sort(rng.random((count, 2, 2)), axis=1) * sizes_N2[:, None]
    labels_N = np.arange(count) // 50
    columns = {
        "image_id": [f"test/{i:06d}.jpg" for i in range(count)],
        "label": labels_N,
        "class_name": [f"{label:04d}" for label in labels_N],
        "split": ["test"] * count,
        "width": sizes_N2[:, 0],
        "height": sizes_N2[:, 1],
        "gt_boxes": corners_N22.reshape(count, 1, 4).tolist(),
    }
    return pa.table({name: pa.array(columns[name], CATALOG.field(name).type) for name in CATALOG.names}, schema=CATALOG)


def _constant_box(catalog: pa.Table) -> pa.Table:
    box_4, _ = best_constant_box(catalog)
    assert box_4 is not None
    boxes_N4 = scale(np.tile(box_4, (len(catalog), 1)), *image_sizes(catalog).T)
    labels = [[label if row % 2 else 0] for row, label in enumerate(catalog.column("label").to_pylist())]
    columns = {"image_id": catalog.column("image_id"), **box_columns(boxes_N4)}
    return pa.table({**columns, "top_labels": labels, "top_probs": [[1.0]] * len(catalog)}).cast(PREDICTIONS)


def _class_maps(catalog: pa.Table, count: int) -> tuple[pa.Table, pa.Table]:
    """Random cells, enlarged to hills: some four contours a threshold, where classifiers' maps had one (results.md)."""
    images = catalog.slice(0, count)
    values_NC = np.random.default_rng(0).random((count, _CELLS * _CELLS)).astype(np.float16)
    columns: Json = {"image_id": images.column("image_id"), "height": [_CELLS] * count, "width": [_CELLS] * count}
    return images, pa.table({**columns, "values": list(values_NC)}).cast(MAPS)


def _best(rounds: int, work: Callable[[], object]) -> float:
    """Seconds of the fastest of several rounds."""
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return min(taken)


def _scipy(values_NF: np.ndarray) -> None:
    scipy_bootstrap((values_NF,), np.mean, n_resamples=1000, method="percentile", batch=20, vectorized=True, axis=0)


if __name__ == "__main__":
    main()
