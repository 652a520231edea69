"""What the page's doubt is worth: how often a wrong box is the more doubtful one of it and a right one.

    python experiments/page_doubt/page_doubt.py --runs runs/cub runs/imagenet --out FILE.json

Of each split with ground truth, for doubt and for each measure alone (the lower, the more doubtful): the share of pairs
of a wrong and a right box of which the wrong one is the more doubtful, ties half; 0.5 is a guess.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from result import Json, print_table, write_result

from psol_ray.evaluation.quality import MEASURES, doubts
from psol_ray.evaluation.scores import score_images
from psol_ray.evaluation.scoring import ScoringProtocol
from psol_ray.report.gallery import view_split
from psol_ray.tables import BOXES, CATALOG, PREDICTIONS, RunDir
from psol_ray.tables.schemas import TEST, TRAIN


def main() -> None:
    """Read, compare, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", nargs="+", required=True, help="run directories with boxes by DDT")
    parser.add_argument("--out", required=True, help="JSON file to write")
    arguments = parser.parse_args()
    rows = [row for run in arguments.runs for row in _rows(run)]
    write_result(arguments.out, {"benchmark": "page_doubt", **vars(arguments)}, {"splits": rows})
    print_table(rows)


def _rows(run: str) -> list[Json]:
    run_dir = RunDir(run)
    catalog, boxes = run_dir.stage("catalog").read(CATALOG), run_dir.stage("boxes").read(BOXES)
    predictions = PREDICTIONS.empty_table()
    scores = score_images(catalog, boxes, predictions, ScoringProtocol())
    views = {split: view_split(split, catalog, boxes, predictions, scores) for split in (TEST, TRAIN)}
    rows = []
    for split, view in views.items():
        known_N = ~np.isnan(view.pseudo_iou_N)
        if not known_N.any():
            continue
        wrong_N = view.pseudo_iou_N < 0.5
        row = {"run": run_dir.name, "split": split, "images": int(known_N.sum())}
        row |= {"wrong, %": 100 * float(wrong_N[known_N].mean())}
        row |= {"doubt": _pairs(doubts(view.boxes)[known_N], wrong_N[known_N])}
        for name in MEASURES:
            row[name] = _pairs(-view.boxes[name].to_numpy(zero_copy_only=False)[known_N], wrong_N[known_N])
        rows.append(row)
    return rows


def _pairs(doubt_N: NDArray[np.floating], wrong_N: NDArray[np.bool_]) -> float:
    wrong, right = doubt_N[wrong_N][:, None], doubt_N[~wrong_N]
    return float((wrong > right).mean() + (wrong == right).mean() / 2)


if __name__ == "__main__":
    main()
