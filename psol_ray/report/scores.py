"""The metrics of a run in words and rows, once for the page and the terminal."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from psol_ray.tables.schemas import TEST, TRAIN

__all__ = [
    "Score",
    "between",
    "counts",
    "headline",
    "how_scored",
    "percent",
    "score_rows",
    "score_table",
    "signed",
]

DASH = "\N{EN DASH}"
# The least width in characters of a table with these columns.
_WITH_V2, _WITH_INTERVALS = 76, 62
_AT_HALF = "IoU ≥ 0.5".replace(" ", "\N{NO-BREAK SPACE}")


@dataclass(frozen=True)
class Score:
    """One line of the score table; fractions in [0, 1], None where the run has no such number."""

    group: str
    name: str
    kind: str  # what was scored, for its colour: "pseudo", "loc", "top" or "plain"
    value: float | None
    max_box_acc_v2: float | None = None
    interval: tuple[float, float] | None = None
    """Ends of the 95 % bootstrap interval."""


# (group, line, kind, where in metrics.json, where its MaxBoxAccV2 is)
_LINES = (
    (
        "Pseudo boxes ({generator})",
        "training images",
        "pseudo",
        "pseudo_boxes.train.gt_known",
        "pseudo_boxes.train.max_box_acc_v2",
    ),
    (
        "Pseudo boxes ({generator})",
        "test images",
        "pseudo",
        "pseudo_boxes.test.gt_known",
        "pseudo_boxes.test.max_box_acc_v2",
    ),
    (
        "Score maps ({generator})",
        "best threshold",
        "pseudo",
        "threshold_sweep.max_box_acc",
        "threshold_sweep.max_box_acc_v2",
    ),
    ("Localizer", "GT-Known", "loc", "localization.gt_known", "localization.max_box_acc_v2"),
    ("Localizer and classifier", "Top-1 Loc", "top", "localization.top1_loc", ""),
    ("Localizer and classifier", "Top-5 Loc", "top", "localization.top5_loc", ""),
    ("Classifier alone", "top-1", "plain", "classification.top1", ""),
    ("Classifier alone", "top-5", "plain", "classification.top5", ""),
    ("Baselines", "whole image", "plain", "baselines.whole_image", ""),
    ("Baselines", "best constant box", "plain", "baselines.constant_box", ""),
)
_OF_PREDICTIONS = ("localization.", "classification.")


def _dig(metrics: Mapping[str, Any], path: str) -> Any:
    """What stands at `a.b.c`, or None where any of it is absent."""
    value: Any = metrics
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def how_scored(metrics: Mapping[str, Any]) -> str:
    """`IoU ≥ 0.5, in the evaluation crop`."""
    rule = _AT_HALF.replace("≥", ">") if metrics.get("iou_rule") == "above" else _AT_HALF
    return f"{rule}, in the evaluation crop" if metrics.get("coordinates") == "crop" else rule


def percent(fraction: float | None) -> str:
    """`87.2` for 0.872, a dash for None."""
    return DASH if fraction is None else f"{100 * fraction:.1f}"


def between(interval: tuple[float, float] | None) -> str:
    """`84.8 to 92.6`, nothing for None."""
    return "" if interval is None else f"{percent(interval[0])} to {percent(interval[1])}"


def signed(interval: tuple[float, float]) -> str:
    """`−4.5 to +0.9`, of a difference."""
    tenths = (round(100 * end, 1) for end in interval)
    return " to ".join(f"{end:+.1f}".replace("-", "\N{MINUS SIGN}") if end else "0.0" for end in tenths)


def score_rows(metrics: Mapping[str, Any]) -> list[Score]:
    """Every line of the table, also those without a number; those of maps and predictions only where there are some."""
    generator = metrics.get("teacher")
    return [
        Score(
            group.format(generator=generator),
            name,
            kind,
            _dig(metrics, value),
            _dig(metrics, v2),
            _ends(metrics, value),
        )
        for group, name, kind, value, v2 in _LINES
        if _has_line(metrics, value)
    ]


def _has_line(metrics: Mapping[str, Any], path: str) -> bool:
    """Whether a line makes sense: not that of pseudo boxes in a run that never had any, nor of maps without maps."""
    if path.startswith("threshold_sweep"):
        return "threshold_sweep" in metrics
    if path.startswith(_OF_PREDICTIONS):
        return any(_dig(metrics, value) is not None for *_, value, _ in _LINES if value.startswith(_OF_PREDICTIONS))
    return not path.startswith("pseudo_boxes") or metrics.get("teacher") is not None


def _ends(metrics: Mapping[str, Any], path: str) -> tuple[float, float] | None:
    interval = _dig(metrics, f"intervals.{path}")
    return None if interval is None else (interval[0], interval[1])


def counts(metrics: Mapping[str, Any]) -> str:
    """`343 training images, 200 test images, 1 unreadable`."""
    words = {"train": "training images", "test": "test images", "unreadable": "unreadable"}
    if_any = {"without_truth": "test images without a ground-truth box", "outside_crop": "with none inside the crop"}
    known = {key: _dig(metrics, f"images.{key}") for key in (*words, *if_any)}
    words_of_all = [f"{known[key]:,} {word}" for key, word in words.items() if known[key] is not None]
    return ", ".join(words_of_all + [f"{known[key]:,} {word}" for key, word in if_any.items() if known[key]])


def headline(metrics: Mapping[str, Any]) -> str:
    """Say the main result in one sentence, with what it has to be compared with."""
    localized, on_test, on_train = (
        _dig(metrics, path)
        for path in ("localization.gt_known", "pseudo_boxes.test.gt_known", "pseudo_boxes.train.gt_known")
    )
    generator = str(metrics.get("teacher"))
    constant = _dig(metrics, "baselines.constant_box")
    constant_box = [] if constant is None else [f"the best constant box in {_p(constant)}"]
    if localized is not None and on_test is not None:
        parts = [_finds("The localizer", localized, metrics, TEST), f"the pseudo boxes ({generator}) in {_p(on_test)}"]
        parts += constant_box
    elif localized is not None:
        parts = [_finds("The localizer", localized, metrics, TEST), *constant_box]
        if on_train is not None:
            parts += [f"the pseudo boxes it learned from are right in {_p(on_train)} of the training images"]
    elif on_test is not None:
        parts = [_finds(_subject(generator), on_test, metrics, TEST), *constant_box]
    elif on_train is not None:
        parts = [_finds(_subject(generator), on_train, metrics, TRAIN)]
    else:
        return "No ground-truth boxes are known for these images, so no box is scored: judge by eye."
    return "; ".join(parts) + "."


def _finds(subject: str, fraction: float, metrics: Mapping[str, Any], split: str) -> str:
    return f"{subject} finds the object in {_p(fraction)} of {_images(metrics, split)} ({how_scored(metrics)})"


def _subject(generator: str) -> str:
    return f"The {generator}" if generator[0].islower() else generator


def _p(fraction: float) -> str:
    return f"{percent(fraction)}\N{NO-BREAK SPACE}%"


def _images(metrics: Mapping[str, Any], split: str) -> str:
    count = _dig(metrics, f"images.{split}")
    if count is not None and split == TEST:
        count -= _dig(metrics, "images.without_truth") or 0  # those that were scored
    word = {TRAIN: "training", TEST: "test"}[split]
    return f"the {word} images" if count is None else f"{count:,} {word} images"


def score_table(metrics: Mapping[str, Any], width: int = 80) -> Table:
    """The scores for the terminal, in percent; the MaxBoxAccV2 column only where there is one.

    Args:
        metrics: content of `metrics.json`, of which anything may be missing.
        width: of the terminal, in characters; where it is narrow, columns are left out rather than cut off.
    """
    rows = score_rows(metrics)
    with_v2 = width >= _WITH_V2 and any(row.max_box_acc_v2 is not None for row in rows)
    with_intervals = width >= _WITH_INTERVALS and any(row.interval is not None for row in rows)
    rule = how_scored(metrics).replace("\N{NO-BREAK SPACE}", " ")
    rule += "; 95 %: bootstrap interval over images" if with_intervals else ""
    rule += "; score maps: whole images, IoU ≥ 0.5" if "threshold_sweep" in metrics else ""
    table = Table(title="Scores in percent", title_justify="left", caption_justify="left")
    table.caption = f"{counts(metrics)}\n{rule}" if counts(metrics) else rule
    table.add_column("")
    table.add_column("", no_wrap=width >= _WITH_INTERVALS)
    table.add_column("%", justify="right", no_wrap=True)
    if with_intervals:
        table.add_column("95 %", justify="right", no_wrap=True)
    if with_v2:
        table.add_column("MaxBoxAccV2", justify="right", no_wrap=True)
    previous = None
    for row in rows:
        if previous not in (None, row.group):
            table.add_section()
        cells = ["" if row.group == previous else row.group, row.name, percent(row.value)]
        cells += [between(row.interval)] if with_intervals else []
        # A dash says that a number is missing; most lines have no MaxBoxAccV2 by definition.
        cells += ["" if row.max_box_acc_v2 is None else percent(row.max_box_acc_v2)] if with_v2 else []
        table.add_row(*cells)
        previous = row.group
    return table
