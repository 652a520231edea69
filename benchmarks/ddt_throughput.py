"""Throughput of DDT: decoder alone, network alone, the whole engine, and three peers, on the same images.

    python benchmarks/ddt_throughput.py --out FILE.json
    python benchmarks/ddt_throughput.py --images CUB_200_2011 --layout cub --weights vgg16.safetensors --out FILE.json

The first runs EfficientNet-Lite0 on demo images; the peers, which have VGG16 alone, need its weights as a file.

Every part runs in a process of its own. The engine's parts take turns, `--rounds` times: the best of each is reported,
with all of them in `runs`, since others may use the machine. Peers (benchmarks/peers.py) get fewer images, and run with
malloc as it comes and with the settings that `psol` gives to its own processes. Parts that need what is not installed
are left out, and `skipped` says why.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator

import torch
from data import LITE0, add_images, find_images, read_catalog, whole_classes, write_stage
from fresh_process import run_fresh
from result import Json, print_table, write_result

from psol_ray.generators.settings import InferenceSettings
from psol_ray.tables import CATALOG, RunDir

CORES = len(os.sched_getaffinity(0))
ENGINE_PARTS = ("forward", "engine_in_process", "engine")
PEERS = ("plain_loop", "incremental_pca", "ray_data")
TARGETS = {"engine_share_of_forward": 0.9, "engine_over_plain_loop": 2.0}


def main() -> None:
    """Run all parts, write and print."""
    arguments, load = _parse(), os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        few = _write_catalog(arguments, f"{folder}/peers", arguments.peer_images)
        many = _write_catalog(arguments, f"{folder}/engine", arguments.num_images)
        runs = list(_run_all({**vars(arguments), "run_dir": many.uri}, {**vars(arguments), "run_dir": few.uri}))
        params = {**_params(arguments), "images": _describe(many), "images_of_peers": _describe(few)}
    metrics = {**_metrics(runs), "load_average_before": load}
    write_result(arguments.out, params, metrics)
    _print(metrics)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_images(parser)
    parser.add_argument("--weights", help="of the backbone; for the peers, VGG16's as .safetensors")
    parser.add_argument("--backbone", help="vgg16 where weights are named; peers have vgg16 only")
    parser.add_argument("--num-images", type=int, default=160, help="whole classes until there are so many")
    parser.add_argument("--peer-images", type=int, default=60)
    parser.add_argument("--batch-size", type=int, help="what `psol` takes: 64 on a GPU, 8 on a CPU")
    parser.add_argument("--compile", action="store_true", help="have TorchInductor compile the network")
    parser.add_argument("--input-size", type=int, default=448)
    parser.add_argument("--workers", type=int, help="actors, if not as many as `psol` starts")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--skip-peers", action="store_true")
    parser.add_argument("--out", required=True, help="JSON file to write")
    parser.add_argument("--smoke", action="store_true", help="one round of 32 images, 16 for the peers")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.num_images, arguments.peer_images, arguments.batch_size, arguments.rounds = 32, 16, 8, 1
    arguments.backbone = arguments.backbone or (LITE0[0] if arguments.weights is None else "vgg16")
    arguments.weights = arguments.weights or (LITE0[1] if arguments.backbone == LITE0[0] else "default")
    arguments.batch_size = arguments.batch_size or InferenceSettings().batch(0 if torch.cuda.is_available() else None)
    arguments.seconds = 0.5 if arguments.smoke else 5.0
    find_images(arguments)
    return arguments


def _write_catalog(arguments: argparse.Namespace, uri: str, num_images: int) -> RunDir:
    """A run directory whose catalog has whole classes; a smoke test's is cut short."""
    catalog = whole_classes(read_catalog(arguments), num_images)
    run = RunDir(uri)
    write_stage(run, "catalog", catalog.slice(0, num_images) if arguments.smoke else catalog)
    return run


def _describe(run: RunDir) -> Json:
    catalog = run.stage("catalog").read(CATALOG)
    return {"images": len(catalog), "classes": len(catalog["label"].unique())}


def _params(arguments: argparse.Namespace) -> Json:
    return {"benchmark": "ddt_throughput", **vars(arguments), "data": arguments.images}


def _run_all(of_engine: Json, of_peers: Json) -> Iterator[Json]:
    yield _run("throughput_parts", "decode", of_engine)
    for _ in range(of_engine["rounds"]):
        yield _run("throughput_parts", "forward", of_engine)
        yield _run("engine_parts", "engine_in_process", of_engine)
        yield _run("engine_parts", "engine", of_engine)
    if of_peers["skip_peers"] or of_peers["backbone"] != "vgg16":
        return
    for keep_memory in (False,) if of_peers["smoke"] else (False, True):
        for part in PEERS:
            yield _run("peers", part, of_peers, keep_memory=keep_memory)


def _run(module: str, part: str, params: Json, *, keep_memory: bool = True) -> Json:
    result = {"part": part, "keeps_memory": keep_memory, **_fresh(module, part, params, keep_memory)}
    outcome = result.get("skipped") or f"{result['images_per_s']:.2f} images/s"
    print(f"{part}{' (keeps memory)' if keep_memory else ''}: {outcome}", file=sys.stderr, flush=True)
    return result


def _fresh(module: str, part: str, params: Json, keep_memory: bool) -> Json:
    return run_fresh(module, part, params, keep_memory=keep_memory, in_process=params["smoke"])


def _metrics(runs: list[Json]) -> Json:
    metrics: Json = {"skipped": {run["part"]: run["skipped"] for run in runs if "skipped" in run}}
    done = [run for run in runs if "skipped" not in run]
    best = {name: _best(done, name) for name in ("decode", *ENGINE_PARTS, *PEERS)}
    if best["engine"] is None:  # without Ray
        best["engine"] = best["engine_in_process"]
    for part, run in best.items():
        if run is not None:
            rates = [r["images_per_s"] for r in done if r["part"] == part and r["keeps_memory"] == run["keeps_memory"]]
            metrics[f"{part}_images_per_s"] = run["images_per_s"]
            metrics[f"{part}_images_per_s_per_core"] = run["images_per_s"] / CORES
            metrics[f"{part}_cpu_s_an_image"] = run.get("cpu_s_an_image")
            metrics[f"{part}_spread"] = 1 - min(rates, default=run["images_per_s"]) / run["images_per_s"]
    metrics |= _of_forward({part: run for part, run in best.items() if run}) | _of_peers(done, best)
    metrics["peak_memory_mb"] = {part: run["peak_memory_mb"] for part, run in best.items() if run}
    gpu = {part: run["peak_gpu_memory_mb"] for part, run in best.items() if run and "peak_gpu_memory_mb" in run}
    return {**metrics, "peak_gpu_memory_mb": gpu, "targets": TARGETS, "runs": runs}


def _best(runs: list[Json], part: str) -> Json | None:
    """The fastest run; of a peer, with malloc as it comes."""
    found = [run for run in runs if run["part"] == part and run["keeps_memory"] == (part not in PEERS)]
    return max(found, key=lambda run: run["images_per_s"], default=None)


def _of_forward(best: Json) -> Json:
    forward, engine, in_process = best["forward"], best["engine"], best["engine_in_process"]
    return {
        **{f"forward_{name}": forward[name] for name in ("tflops", "dtype", "gflop_an_image")},
        **{name: forward[name] for name in ("matmul_tflops", "matmul_tflops_by_size", "batch_seconds")},
        "forward_share_of_matmul": forward["tflops"] / forward["matmul_tflops"],
        "engine_share_of_forward": engine["images_per_s"] / forward["images_per_s"],
        "engine_in_process_share_of_forward": in_process["images_per_s"] / forward["images_per_s"],
        "forward_share_of_engine_cpu_time": forward["cpu_s_an_image"] / engine["cpu_s_an_image"],
        "engine_startup_s": engine.get("startup_s"),
        "network_waits_share": engine["network_waits_share"],
    }


def _of_peers(done: list[Json], best: Json) -> Json:
    """How many times as fast the engine is; and peers that keep memory, where that makes a tenth of a difference."""
    metrics = {}
    for part in PEERS:
        if (run := best[part]) is None:
            continue
        metrics[f"engine_over_{part}"] = best["engine"]["images_per_s"] / run["images_per_s"]
        kept = max((r["images_per_s"] for r in done if r["part"] == part and r["keeps_memory"]), default=0.0)
        if kept and abs(kept / run["images_per_s"] - 1) > 0.1:
            metrics[f"{part}_keeping_memory_images_per_s"] = kept
            metrics[f"engine_over_{part}_keeping_memory"] = best["engine"]["images_per_s"] / kept
    return metrics


def _print(metrics: Json) -> None:
    parts = [part for part in ("decode", *ENGINE_PARTS, *PEERS) if f"{part}_images_per_s" in metrics]
    print_table(
        [
            {
                "part": part.replace("_", " "),
                "images/s": metrics[f"{part}_images_per_s"],
                "a core": metrics[f"{part}_images_per_s_per_core"],
                "CPU s an image": metrics[f"{part}_cpu_s_an_image"],
                "spread": f"{metrics[f'{part}_spread']:.0%}",
                "peak memory, MB": f"{metrics['peak_memory_mb'][part]:.0f}",
            }
            for part in parts
        ]
    )
    print()
    shown = ("forward_tflops", "matmul_tflops", "engine_startup_s", "network_waits_share")
    names = [name for name in metrics if name.startswith("engine_over") or "_share" in name or name in shown]
    print_table([{"metric": name, "value": metrics[name], "target": TARGETS.get(name, "")} for name in names])
    if metrics["load_average_before"] > CORES / 4:
        print(f"\nOthers were using the machine (load {metrics['load_average_before']:.1f}): measure again.")


if __name__ == "__main__":
    main()
