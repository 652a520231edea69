"""Pictures of what the benchmarks wrote.

    python benchmarks/plots.py scaling.json [--out FILE.svg|FILE.png]

Which picture it is follows from the benchmark that the JSON names; it goes to docs/benchmarks/NAME.svg.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator

Json = dict[str, Any]

_BLUE, _ORANGE, _GREEN, _RED, _PURPLE, _GREY = "#2b6cb0", "#dd6b20", "#2f855a", "#c53030", "#6b46c1", "#718096"
_STYLE = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e2e8f0",
    "legend.frameon": False,
    "svg.hashsalt": "psol_ray",  # equal figures, equal files
    "svg.fonttype": "none",
}


def main() -> None:
    """Draw one file's picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="JSON that a benchmark wrote")
    parser.add_argument("--out", help="picture to write; its ending says the format")
    arguments = parser.parse_args()
    result = json.loads(Path(arguments.file).read_text())
    name = result["params"].get("benchmark")
    if name not in PLOTS:
        parser.error(f"{arguments.file}: found benchmark {name!r}, expected one of {', '.join(PLOTS)}")
    out = Path(arguments.out or Path(__file__).parents[1] / "docs" / "benchmarks" / f"{name}.svg")
    out.parent.mkdir(parents=True, exist_ok=True)
    with plt.rc_context(_STYLE):
        figure = PLOTS[name](result)
        figure.savefig(out, dpi=120, bbox_inches="tight", metadata={"Date": None} if out.suffix == ".svg" else None)
    print(out)


def scaling(result: Json) -> Figure:
    """Efficiency, and the driver's time a class, over simulated GPUs."""
    params, metrics = result["params"], result["metrics"]
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.4), width_ratios=(3, 2), layout="constrained")
    figure.suptitle(
        f"The dispatcher of psol boxes on simulated GPUs ({params['simulated_images_per_s']:,.0f} images/s each)"
    )
    _efficiency(left, params, metrics)
    _driver(right, metrics)
    for axes in (left, right):
        _axis_of_gpus(axes, sorted({run["actors"] for run in metrics["runs"]}))
    return figure


def _efficiency(axes: Axes, params: Json, metrics: Json) -> None:
    axes.set(title="Efficiency: ideal over measured makespan", ylabel="efficiency, %")
    strong = _runs(metrics, "strong")
    few = params["few_actors"]
    for marker, color, label, runs in (
        ("o", _BLUE, f"strong: {strong[-1]['classes']:,} classes", [r for r in strong if r["actors"] not in few]),
        ("o", _GREY, f"strong: {params['classes_of_few_actors']} classes", [r for r in strong if r["actors"] in few]),
        ("s", _GREEN, f"weak: {params['classes_an_actor_weak']} classes a GPU", _runs(metrics, "weak")),
    ):
        gpus, percent = [r["actors"] for r in runs], [100 * r["efficiency"] for r in runs]
        axes.plot(gpus, percent, marker=marker, color=color, label=label)
    bounds = [(r["actors"], 100 * r["ideal_s"] / r["bound_s"]) for r in strong if r["actors"] not in few]
    axes.plot(*zip(*bounds, strict=True), ":", color=_BLUE, label="strong: bound, whole classes")
    axes.axhline(
        100 * metrics["target_efficiency"],
        color=_GREY,
        linestyle="--",
        linewidth=1,
        label=f"target, {100 * metrics['target_efficiency']:.0f} %",
    )
    for marker, color, kind, label in (
        ("v", _ORANGE, "straggler", f"one GPU takes {params['straggler_slowdown']:g} times as long"),
        ("X", _RED, "killed", f"actors killed: {params['killed']}"),
        ("D", _PURPLE, "node lost", f"a node of {params['gpus_a_node']} lost"),
    ):
        runs = _runs(metrics, kind)
        axes.plot(
            [r["actors"] for r in runs], [100 * r["efficiency"] for r in runs], marker, color=color, ms=8, label=label
        )
    lowest = min(run["efficiency"] for run in metrics["runs"] if run["kind"] != "machine's limit")
    axes.set_ylim(100 * lowest // 10 * 10, 101)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    _legend_below(axes)


def _driver(axes: Axes, metrics: Json) -> None:
    axes.set(title="Driver, a class", ylabel="milliseconds a class")
    runs = _runs(metrics, "weak")
    gpus = [run["actors"] for run in runs]
    for key, label, color in (
        ("driver_cpu_ms_a_class", "CPU time, all threads", _BLUE),
        ("driver_wall_ms_a_class", "time outside ray.wait", _ORANGE),
    ):
        axes.plot(gpus, [run[key] for run in runs], marker="o", color=color, label=label)
    axes.axhline(
        metrics["target_driver_ms_a_class"],
        color=_GREY,
        linestyle="--",
        linewidth=1,
        label=f"target, {metrics['target_driver_ms_a_class']:g} ms",
    )
    axes.set_ylim(bottom=0)
    _legend_below(axes)


def _legend_below(axes: Axes) -> None:
    """Below the axes, where it hides nothing."""
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, fontsize=9)


def _axis_of_gpus(axes: Axes, ticks: list[int]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [str(tick) for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("simulated GPUs")


def _runs(metrics: Json, kind: str) -> list[Json]:
    return sorted((run for run in metrics["runs"] if run["kind"] == kind), key=lambda run: run["actors"])


def throughput(result: Json) -> Figure:
    """Images a second of each part and peer, and how they compare with the engine."""
    metrics = result["metrics"]
    figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
    parts = [part for part in _PARTS if f"{part}_images_per_s" in metrics]
    # Bars start at zero; a decoder many times as fast would leave nothing to see of the others.
    decode, forward = metrics["decode_images_per_s"], metrics["forward_images_per_s"]
    if decode > 2 * forward:
        parts.remove("decode")
    rates = [metrics[f"{part}_images_per_s"] for part in parts]
    bars = axes.barh([_PARTS[part][0] for part in parts], rates, color=[_PARTS[part][1] for part in parts])
    engine = metrics["engine_images_per_s"]
    words = [f"{rate:#,.3g}" + _compare(part, rate / engine) for part, rate in zip(parts, rates, strict=True)]
    axes.bar_label(bars, words, padding=4)
    axes.set_xlim(0, 1.5 * max(rates))
    axes.set_axisbelow(True)
    axes.grid(axis="y", visible=False)
    axes.invert_yaxis()
    environment = result["environment"]
    where = environment["gpu"] or f"{environment['cores']} cores of {environment['cpu']}"
    axes.set(xlabel=f"images/s (the decoder alone: {decode:,.3g})", title=f"DDT on {where}")
    return figure


def _compare(part: str, share: float) -> str:
    if part == "forward":
        return f"  (engine: {1 / share:.0%} of it)"
    return f"  (engine: {1 / share:.1f} times)" if _PARTS[part][1] == _GREY else ""


_PARTS = {
    "decode": ("decoder alone", _GREEN),
    "forward": ("network alone", _GREEN),
    "engine_in_process": ("engine, without Ray", _BLUE),
    "engine": ("engine: psol boxes", _BLUE),
    "plain_loop": ("DataLoader, PCA", _GREY),
    "incremental_pca": ("DataLoader, IncrementalPCA", _GREY),
    "ray_data": ("Ray Data", _GREY),
}


def memory(result: Json) -> Figure:
    """Peak memory over the size of a class, with a budget for features and without."""
    params, runs = result["params"], result["metrics"]["runs"]
    figure, axes = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
    for marker, color, label, is_bounded in (
        ("s", _ORANGE, "features are all kept", False),
        ("o", _BLUE, f"at most {params['budget_mb']:g} MB of features kept", True),
    ):
        some = [run for run in runs if (run["budget_mb"] is not None) == is_bounded]
        axes.plot(
            [run["images"] for run in some], [run["peak_mb"] for run in some], marker=marker, color=color, label=label
        )
    bounded = [run for run in runs if run["budget_mb"] is not None]
    sizes = [run["images"] for run in bounded]
    axes.plot(sizes, [run["features_mb"] for run in bounded], ":", color=_GREY, label="the features' own size")
    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(bottom=0)
    axes.set(xlabel="images of the class (log)", ylabel="MB above the loaded network", title="Peak memory of DDT")
    _legend_below(axes)
    return figure


# By the name that a benchmark gives itself in its params.
def curves(result: Json) -> Figure:
    """Loss, and GT-Known on the test images, over epochs; the teacher's GT-Known as a line."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 4.2), layout="constrained")
    colours = iter((_BLUE, _ORANGE, _GREEN, _RED, _PURPLE, _GREY))
    runs = result["metrics"]["runs"]
    for name, run in runs.items():
        model = run["models"].get("localizer") or run["models"]["joint"]
        epochs, colour = [row["epoch"] for row in model["rows"]], next(colours)
        left.plot(epochs, [row["loss"] for row in model["rows"]], color=colour, label=name)
        right.plot(epochs, [100 * row["gt_known"] for row in model["rows"]], color=colour, label=name)
    teacher = 100 * next(iter(runs.values()))["metrics"]["pseudo_boxes"]["test"]["gt_known"]
    right.axhline(teacher, color=_GREY, linestyle="--", linewidth=1)
    right.annotate("DDT, the teacher", (0, teacher), (4, 4), textcoords="offset points", color=_GREY)
    left.set(xlabel="epoch", ylabel="loss", yscale="log", title="Loss (joint: with the class)")
    right.set(xlabel="epoch", ylabel="GT-Known on test images, %", title="Boxes")
    right.legend(loc="lower right")
    return figure


PLOTS: dict[str, Callable[[Json], Figure]] = {
    "train_curves": curves,
    "ddt_memory": memory,
    "ddt_scaling": scaling,
    "ddt_throughput": throughput,
}


if __name__ == "__main__":
    main()
