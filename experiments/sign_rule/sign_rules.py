"""Which rule for the sign of DDT's component picks the side that locates better.

    python experiments/sign_rule/sign_rules.py --data FOLDER --weights vgg16_features.safetensors --out FILE.json

A case is a class and a draw of images for its component. The truth of a case is the sign whose boxes reach the higher
GT-Known (IoU 0.5) on all of the class's images with true boxes; where the signs differ by fewer than two images the
case is undecidable and counts for neither. "right" is the share of decidable cases in which a rule finds that sign,
"lost" the mean GT-Known in points below the better sign, over all cases.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from candidates import RULES, gather
from class_features import INPUT_SIZE, ClassFeatures, iterate_classes, make_extractor, pooled, synthetic_images
from result import Json, print_table, write_result

from psol_ray.geometry.boxes import iou
from psol_ray.heatmaps.boxes import heat_to_boxes

# Columns of the table, and what they put together.
FEW = {"1 image": (1,), "2 or 3 images": (2, 3), "5 or 10 images": (5, 10)}
STRANGERS = {"10 or 30 % strangers": (0.1, 0.3), "50 % strangers": (0.5,)}
FEW_DRAWS, STRANGERS_DRAWS = 10, 3
UNDECIDABLE_BELOW = 2  # images


class Case(NamedTuple):
    """One component: how many of `images` each sign locates, and every rule's score."""

    column: str
    setting: str
    class_name: str
    images: int
    right_as_is: int
    right_turned: int
    scores: dict[str, float]

    @property
    def decidable(self) -> bool:
        return abs(self.right_as_is - self.right_turned) >= UNDECIDABLE_BELOW

    def lost(self, score: float) -> float:
        """GT-Known points below the better sign."""
        chosen = self.right_as_is if score >= 0 else self.right_turned
        return 100 * (max(self.right_as_is, self.right_turned) - chosen) / self.images


def main() -> None:
    """Measure all cases of all settings, print a table, write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with CUB_200_2011/ and ILSVRC/")
    parser.add_argument("--weights", required=True, help="VGG16's convolutions")
    parser.add_argument("--out", required=True, help="JSON file to write")
    parser.add_argument("--cache", type=Path, help="folder that keeps features between runs")
    parser.add_argument("--smoke", action="store_true", help="few images of a class of each data set, VGG16 only")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    cases = []
    for case in _measure(arguments):
        cases.append(case)
        print(
            f"{case.setting}: {case.class_name}, {case.right_as_is} or {case.right_turned} of {case.images}", flush=True
        )
    params = {
        "benchmark": "sign_rules",
        **{"smoke": arguments.smoke, "input_size": INPUT_SIZE, "upsample": "bilinear"},
        **{"few": FEW, "few_draws": FEW_DRAWS, "strangers": STRANGERS, "strangers_draws": STRANGERS_DRAWS},
        "undecidable_below": UNDECIDABLE_BELOW,
    }
    metrics = {
        "together": _summary(cases),
        "columns": {name: _summary(some) for name, some in _by("column", cases).items()},
        "settings": {name: _summary(some) for name, some in _by("setting", cases).items()},
    }
    write_result(arguments.out, params, metrics)
    print_table(_table(cases))


def _by(field: str, cases: list[Case]) -> dict[str, list[Case]]:
    names = dict.fromkeys(getattr(case, field) for case in cases)
    return {name: [case for case in cases if getattr(case, field) == name] for name in names}


def _measure(arguments: argparse.Namespace) -> Iterator[Case]:
    extract = make_extractor("vgg16", arguments.weights)
    classes = []
    for found in iterate_classes("vgg16", extract, arguments.data, arguments.cache, smoke=arguments.smoke):
        classes.append(replace(found, map_Nhwc=pooled(found.map_Nhwc)))
        yield _case("all images", "all images", classes[-1], classes[-1].train_Nhwc)
        if not arguments.smoke:
            yield _case("before the pool", "before the pool", found, found.train_Nhwc)
            if found.data_set == "cub":  # the only one whose training images have boxes
                yield _case("cropped to the box", "cropped to the box", classes[-1], pooled(_cropped(found)))
    if arguments.smoke:
        return
    yield from _few(classes, "")
    yield from _with_strangers(classes, pooled(extract(synthetic_images(64))))
    lite0 = make_extractor("lite0", arguments.weights)
    classes = list(iterate_classes("lite0", lite0, arguments.data, arguments.cache))
    for found in classes:
        yield _case("Lite0, all images", "Lite0, all images", found, found.train_Nhwc)
    yield from _few(classes, "Lite0, ")


def _cropped(found: ClassFeatures) -> torch.Tensor:
    """Training maps as if the object filled the image: the cells under the true box, enlarged to the whole map."""
    side = found.map_Nhwc.shape[1]
    maps = []
    for row, boxes in zip(found.boxed, found.true_boxes(), strict=True):
        if found.is_train_N[row]:
            x0, y0, x1, y1 = (boxes[0] * side).round().astype(int)
            inside_chw = found.map_Nhwc[row, y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)].permute(2, 0, 1).float()
            maps.append(F.interpolate(inside_chw[None], (side, side), mode="bilinear", align_corners=False))
    return torch.cat(maps).permute(0, 2, 3, 1)


def _few(classes: list[ClassFeatures], prefix: str) -> Iterator[Case]:
    for column, counts in FEW.items():
        for count, (index, found), draw in product(counts, enumerate(classes), range(FEW_DRAWS)):
            rng = np.random.default_rng([count, index, draw])
            chosen = _draw(found.train_Nhwc, count, rng)
            yield _case(prefix + column, f"{prefix}{count} image{'s' if count > 1 else ''}", found, chosen)


def _with_strangers(classes: list[ClassFeatures], nothing_Nhwc: torch.Tensor) -> Iterator[Case]:
    """Replace a share of the training images by images of other classes, of the other data set, or of nothing."""
    for index, found in enumerate(classes):
        others = [c for c in classes if c is not found]
        sources = {
            "other classes": torch.cat([c.train_Nhwc for c in others if c.data_set == found.data_set]),
            "other data set": torch.cat([c.train_Nhwc for c in others if c.data_set != found.data_set]),
            "nothing": nothing_Nhwc,
        }
        for (column, shares), source in product(STRANGERS.items(), sources):
            for share, draw in product(shares, range(STRANGERS_DRAWS)):
                rng = np.random.default_rng([index, list(sources).index(source), round(100 * share), draw])
                count = round(share * len(found.train_Nhwc))
                kept = _draw(found.train_Nhwc, len(found.train_Nhwc) - count, rng)
                mixed = torch.cat([kept, _draw(sources[source], count, rng)])
                yield _case(column, f"{share:.0%} {source}", found, mixed)


def _draw(maps_Nhwc: torch.Tensor, count: int, rng: np.random.Generator) -> torch.Tensor:
    return maps_Nhwc[torch.from_numpy(rng.permutation(len(maps_Nhwc))[:count])]


def _case(column: str, setting: str, found: ClassFeatures, train_Nhwc: torch.Tensor) -> Case:
    evidence, project = gather(train_Nhwc)
    heat_Nhw = project(found.map_Nhwc[found.boxed])
    truth = found.true_boxes()
    as_is, turned = (_count_right(sign * heat_Nhw, truth) for sign in (1, -1))
    scores = {name: rule(evidence) for name, rule in RULES.items()}
    return Case(column, setting, found.name, len(truth), as_is, turned, scores)


def _count_right(heat_Nhw: torch.Tensor, truth: list[np.ndarray]) -> int:
    boxes_N4 = heat_to_boxes(heat_Nhw, INPUT_SIZE, "bilinear").boxes_N4
    return sum(bool((iou(box[None], true) >= 0.5).any()) for box, true in zip(boxes_N4, truth, strict=True))


def _summary(cases: list[Case]) -> Json:
    best = [100 * max(case.right_as_is, case.right_turned) / case.images for case in cases]
    return {
        "cases": len(cases),
        "undecidable": sum(not case.decidable for case in cases),
        "gt_known_of_better_sign": _rounded(best),
        "rules": {rule: _judge(cases, rule) for rule in RULES},
    }


def _judge(cases: list[Case], rule: str) -> dict[str, float | None]:
    judged = [(abs(c.scores[rule]), c.lost(c.scores[rule]) == 0) for c in cases if c.decidable]
    margins, right = np.array([m for m, _ in judged]), np.array([ok for _, ok in judged], bool)
    return {
        "right": _rounded(right),
        "points_lost": _rounded([case.lost(case.scores[rule]) for case in cases]),
        "margin_where_right": _rounded(margins[right]),
        "margin_where_wrong": _rounded(margins[~right]),
    }


def _rounded(values: Any) -> float | None:
    return round(float(np.mean(values)), 4) if len(values) else None


def _table(cases: list[Case]) -> list[dict[str, str]]:
    columns = {**_by("column", cases), "together": cases}
    decidable = {name: f"{sum(c.decidable for c in some)} of {len(some)}" for name, some in columns.items()}
    rows = [{"rule: right (lost)": "decidable cases", **decidable}]
    for rule in RULES:
        figures = {name: _judge(some, rule) for name, some in columns.items()}
        shares = {name: "-" if f["right"] is None else f"{100 * f['right']:.1f} %" for name, f in figures.items()}
        rows.append(
            {"rule: right (lost)": rule, **{n: f"{shares[n]} ({figures[n]['points_lost']:.2f})" for n in columns}}
        )
    return rows


if __name__ == "__main__":
    main()
