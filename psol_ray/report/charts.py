"""Curves of a training as coordinates, for the template to draw as SVG."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Chart", "Tick", "make_chart", "make_charts", "make_sweep_chart"]

# The drawing's size and its plotting area, in SVG units.
WIDTH, HEIGHT = 420, 198
LEFT, RIGHT, TOP, BOTTOM = 52, 408, 12, 158

_QUANTITIES = (
    ("loss", "loss"),
    ("gt_known", "GT-Known on test images"),
    ("top1", "top-1 on test images"),
    ("images_per_s", "images a second"),
)


@dataclass(frozen=True)
class Tick:
    """A mark on an axis."""

    at: float
    text: str


@dataclass(frozen=True)
class Chart:
    """One curve: its points in SVG units, and its axes."""

    model: str
    quantity: str
    x_name: str
    points: list[tuple[float, float]]
    x_ticks: list[Tick]
    y_ticks: list[Tick]
    last: str
    summary: str
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = RIGHT
    bottom: int = BOTTOM


def make_charts(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Chart]:
    """Make a chart for each model and quantity that `curves` has numbers of.

    Args:
        curves: model name to the lines of its `metrics.jsonl`. Of an epoch logged twice (a resumed training)
            the last line counts; a value that is missing or not finite leaves its point out.
    """
    charts = []
    for model, lines in curves.items():
        for key, quantity in _QUANTITIES:
            values = dict(_points(lines, key))
            if values:
                charts.append(make_chart(model, quantity, "epoch", sorted(values.items())))
    return charts


def make_sweep_chart(generator: str, sweep: Mapping[str, Any]) -> Chart | None:
    """Draw GT-Known of a score map's box over the threshold, or None where no box could be scored.

    Args:
        generator: whose maps they are.
        sweep: `threshold_sweep` of `metrics.json`.
    """
    values = [
        (100 * threshold, 100 * rate)
        for threshold, rate in zip(sweep["thresholds"], sweep["gt_known"], strict=True)
        if rate is not None
    ]
    return make_chart(generator, "GT-Known in %", "threshold in % of the map's range", values) if values else None


def _points(lines: Sequence[Mapping[str, Any]], key: str) -> Iterable[tuple[float, float]]:
    for line in lines:
        epoch, value = line.get("epoch"), line.get(key)
        if isinstance(epoch, int | float) and isinstance(value, int | float) and math.isfinite(value):
            yield float(epoch), float(value)


def make_chart(model: str, quantity: str, x_name: str, values: list[tuple[float, float]]) -> Chart:
    """Draw one curve through points that are ordered by x."""
    xs, ys = [x for x, _ in values], [y for _, y in values]
    y_marks = _round_marks(min(0.0, *ys), max(ys), 4)
    x_marks = [x for x in _round_marks(xs[0], xs[-1], 6) if xs[0] <= x <= xs[-1] and x == int(x)] or [xs[0]]

    def at_x(x: float) -> float:
        share = (x - xs[0]) / (xs[-1] - xs[0]) if xs[-1] > xs[0] else 0.5
        return round(LEFT + 8 + share * (RIGHT - LEFT - 16), 1)

    def at_y(y: float) -> float:
        return round(BOTTOM - (y - y_marks[0]) / (y_marks[-1] - y_marks[0]) * (BOTTOM - TOP), 1)

    return Chart(
        model=model,
        quantity=quantity,
        x_name=x_name,
        points=[(at_x(x), at_y(y)) for x, y in values],
        x_ticks=[Tick(at_x(x), f"{x:g}") for x in x_marks],
        y_ticks=[Tick(at_y(y), f"{y:,.6g}") for y in y_marks],
        last=_short(ys[-1]),
        summary=f"{quantity} from {_short(ys[0])} at {x_name} {xs[0]:g} to {_short(ys[-1])} at {x_name} {xs[-1]:g}",
    )


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _round_marks(low: float, high: float, count: int) -> list[float]:
    """About `count` round numbers from at or below `low` to at or above `high`, at least two."""
    spread = (high - low) or abs(high) or 1.0
    magnitude = 10.0 ** math.floor(math.log10(spread / count))
    step = next(m * magnitude for m in (1, 2, 2.5, 5, 10, 20) if m * magnitude * count >= spread)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(i * step, 12) for i in _at_least_two(first, last)]


def _at_least_two(first: int, last: int) -> Iterable[int]:
    return range(first, max(last, first + 1) + 1)
