"""Pictures of what the benchmarks wrote.

    python benchmarks/plots.py scaling.json [--out FILE.svg|FILE.png]

Which picture it is follows from the benchmark that the JSON names; it goes to docs/benchmarks/NAME.svg.
"""

import argparse
import json
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from result import Json


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
    plt.switch_backend("agg")
    with plt.rc_context({"axes.grid": True, "legend.frameon": False, "svg.hashsalt": "psol_ray"}):
        PLOTS[name](result).savefig(out, metadata={"Date": None} if out.suffix == ".svg" else None)
    print(out)


def scaling(result: Json) -> Figure:
    """Efficiency over simulated GPUs, of runs undisturbed and of others."""
    params, metrics = result["params"], result["metrics"]
    figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
    for kind in dict.fromkeys(run["kind"] for run in metrics["runs"][1:]):  # the first measures the machine's limit
        runs = sorted((run for run in metrics["runs"] if run["kind"] == kind), key=lambda run: run["actors"])
        axes.plot([r["actors"] for r in runs], [100 * r["efficiency"] for r in runs], "o-", label=kind)
    axes.axhline(100 * metrics["target_efficiency"], color="grey", linestyle="--", label="target")
    axes.set_xscale("log", base=2)
    axes.set(
        title=f"psol boxes on simulated GPUs of {params['simulated_images_per_s']:,.0f} images/s",
        xlabel="simulated GPUs",
        ylabel="ideal over measured makespan, %",
    )
    axes.legend()
    return figure


def throughput(result: Json) -> Figure:
    """Images a second of each part and peer. Bars start at zero, so the decoder's, many times as long, is a number."""
    metrics, environment = result["metrics"], result["environment"]
    figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
    rates = {
        part: metrics[f"{part}_images_per_s"]
        for part in ("forward", "engine_in_process", "engine", "plain_loop", "incremental_pca", "ray_data")
        if f"{part}_images_per_s" in metrics
    }
    bars = axes.barh([part.replace("_", " ") for part in rates], list(rates.values()))
    axes.bar_label(bars, [f"{rate:#,.3g}" for rate in rates.values()], padding=4)
    axes.invert_yaxis()
    where = environment["gpu"] or f"{environment['cores']} cores of {environment['cpu']}"
    axes.set(xlabel=f"images/s (decoder alone: {metrics['decode_images_per_s']:,.3g})", title=f"DDT on {where}")
    return figure


def memory(result: Json) -> Figure:
    """Peak memory over the size of a class, with a budget for features and without."""
    figure, axes = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
    for budget in dict.fromkeys(run["budget_mb"] for run in result["metrics"]["runs"]):
        runs = [run for run in result["metrics"]["runs"] if run["budget_mb"] == budget]
        label = "all features are kept" if budget is None else f"at most {budget:g} MB of features are kept"
        axes.semilogx([run["images"] for run in runs], [run["peak_mb"] for run in runs], "o-", label=label)
    axes.set(
        title="Peak memory of DDT", xlabel="images of the class", ylabel="MB above the loaded network", ylim=(0, None)
    )
    axes.legend()
    return figure


PLOTS = {"ddt_memory": memory, "ddt_scaling": scaling, "ddt_throughput": throughput}


if __name__ == "__main__":
    main()
