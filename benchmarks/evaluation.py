"""How long it takes to score a data set, against SciPy's bootstrap.

    python benchmarks/evaluation.py --metadata $SHARED/data/wsolevaluation_metadata/ILSVRC --out FILE.json

The boxes are the best constant box, with labels that are right for half of the images: other boxes take as long.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from result import print_table, write_result
from scipy.stats import bootstrap as scipy_bootstrap

from psol_ray.catalog.wsol import list_wsol
from psol_ray.evaluation import Protocol, evaluate
from psol_ray.evaluation.baselines import baselines, best_constant_box
from psol_ray.evaluation.bootstrap import bootstrap
from psol_ray.evaluation.metrics import list_lengths
from psol_ray.evaluation.sweep import sweep
from psol_ray.geometry.boxes import scale
from psol_ray.tables import BOXES, MAPS, PREDICTIONS
from psol_ray.tables.schemas import box_columns

_FIGURES = 10
_MAPS, _CELLS = 1000, 7  # 224 pixels behind a stride of 32


def main() -> None:
    """Time every part, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--metadata", required=True, help="folder of wsolevaluation's metadata, with test in it")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", required=True, help="JSON file to write")
    arguments = parser.parse_args()
    catalog = list_wsol(Path(arguments.metadata))
    predictions = _constant_box(catalog)
    hits_NF = np.random.default_rng(0).random((len(catalog), _FIGURES)) < 0.5
    rows = []
    for name, protocol in {"original": Protocol(), "crop": Protocol(224 / 256)}.items():
        both = _best(arguments.rounds, lambda p=protocol: evaluate(catalog, BOXES.empty_table(), predictions, p))
        alone = _best(arguments.rounds, lambda p=protocol: baselines(catalog, p))
        rows.append({"part": f"figures, intervals and baselines, {name}", "seconds": both})
        rows.append({"part": f"baselines alone, {name}", "seconds": alone})
    ours = _best(arguments.rounds, lambda: bootstrap(hits_NF.astype(float)))
    scipys = _best(1, lambda: _scipy(hits_NF.astype(float)))
    rows.append({"part": f"bootstrap of {_FIGURES} figures", "seconds": ours})
    rows.append({"part": f"scipy.stats.bootstrap of {_FIGURES} figures", "seconds": scipys})
    images, maps = _class_maps(catalog)
    swept = _best(arguments.rounds, lambda: sweep(images, maps))
    rows.append({"part": f"sweep of {_MAPS} class maps with intervals", "seconds": swept})
    sizes = {"images": len(catalog), "boxes": int(list_lengths(catalog.column("gt_boxes")).sum())}
    write_result(arguments.out, {"benchmark": "evaluation", **vars(arguments)}, {**sizes, "parts": rows})
    print_table(rows)


def _constant_box(catalog: pa.Table) -> pa.Table:
    box_4, _ = best_constant_box(catalog)
    width_N, height_N = (catalog.column(name).to_numpy() for name in ("width", "height"))
    boxes_N4 = scale(np.tile(box_4, (len(catalog), 1)), width_N, height_N)
    labels = [[label if row % 2 else 0] for row, label in enumerate(catalog.column("label").to_pylist())]
    columns = {"image_id": catalog.column("image_id"), **box_columns(boxes_N4)}
    return pa.table({**columns, "top_labels": labels, "top_probs": [[1.0]] * len(catalog)}).cast(PREDICTIONS)


def _class_maps(catalog: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Random cells, enlarged to hills: some four contours a threshold, where classifiers' maps had one (results.md)."""
    images = catalog.slice(0, _MAPS)
    values_NC = np.random.default_rng(0).random((_MAPS, _CELLS * _CELLS)).astype(np.float16)
    sizes = {"height": [_CELLS] * _MAPS, "width": [_CELLS] * _MAPS}
    maps = pa.table({"image_id": images.column("image_id"), **sizes, "values": list(values_NC)})
    return images, maps.cast(MAPS)


def _best(rounds: int, work: Callable[[], Any]) -> float:
    """Seconds of the fastest of several rounds."""
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return min(taken)


def _scipy(values_NF: np.ndarray) -> None:
    mean = lambda x, axis: x.mean(axis=axis)  # noqa: E731
    scipy_bootstrap((values_NF,), mean, n_resamples=1000, method="percentile", batch=20, vectorized=True, axis=0)


if __name__ == "__main__":
    main()
