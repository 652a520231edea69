"""Where a GPU's time goes while the engine runs: how long each stream works, and which kernels do.

    PYTHONPATH=PROJECT:SITE:PROJECT/benchmarks python engine_trace.py --images DIR --weights FILE --out FILE.json

`--images` is a tree of the layout folder (many.py); `--weights random` will do. `busy` is the share of time in
which anything runs on the GPU, `streams` that of each stream, `calls_ms` how long calls of CUDA took, and how many.
"""

import argparse
import json
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import torch
from data import read_catalog, whole_classes, write_stage
from engine_parts import engine_in_process
from measure import CUDA

from psol_ray.tables import RunDir


def main() -> None:
    """One run under PyTorch's profiler."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", required=True)
    parser.add_argument("--layout", default="folder")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--num-images", type=int, default=3900)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    params = {**vars(arguments), "backbone": "vgg16", "input_size": 448, "workers": None, "compile": False}
    kind = torch.profiler.ProfilerActivity.CUDA if CUDA else torch.profiler.ProfilerActivity.CPU
    with tempfile.TemporaryDirectory() as folder:
        write_stage(RunDir(folder), "catalog", whole_classes(read_catalog(arguments), arguments.num_images))
        with torch.profiler.profile(activities=[kind]) as profiler:
            result = engine_in_process(params | {"run_dir": folder})
    trace = Path(arguments.out).with_suffix(".trace.json")
    profiler.export_chrome_trace(str(trace))
    told = _summary(json.loads(trace.read_text())["traceEvents"])
    trace.unlink()
    Path(arguments.out).write_text(json.dumps({"engine": result, **told}, indent=1))
    print(f"{result['images_per_s']:.0f} images/s under the profiler")
    for name, value in told.items():
        print(f"{name}: {json.dumps(value)}")


def _summary(events: list[dict[str, Any]]) -> dict[str, Any]:
    work = [event for event in events if event.get("cat") in ("kernel", "gpu_memcpy", "gpu_memset")]
    calls = [event for event in events if event.get("cat") in ("cuda_runtime", "cuda_driver")]
    spans: dict[object, list[tuple[float, float]]] = defaultdict(list)
    kernels: Counter[str] = Counter()
    for event in work:
        spans[event["tid"]].append((event["ts"], event["ts"] + event["dur"]))
        kernels[event["name"][:60]] += event["dur"]
    # The middle half, away from the first batches and the last.
    starts = sorted(event["ts"] for event in work) or [0.0, 1.0]
    low, high = starts[len(starts) // 4], starts[3 * len(starts) // 4]
    everything = [span for of_stream in spans.values() for span in of_stream]
    return {
        "busy": _covered(everything, low, high),
        "streams": {str(stream): round(_covered(found, low, high), 3) for stream, found in spans.items()},
        "kernels_ms": {name: round(us / 1e3, 1) for name, us in kernels.most_common(20)},
        "calls_ms": _calls(calls),
    }


def _covered(spans: list[tuple[float, float]], low: float, high: float) -> float:
    covered, end = 0.0, low
    for start, stop in sorted(spans):
        start, stop = max(start, end), min(stop, high)
        if stop > start:
            covered, end = covered + stop - start, stop
    return covered / max(high - low, 1e-9)


def _calls(calls: list[dict[str, Any]]) -> dict[str, list[float]]:
    count: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for call in calls:
        count[call["name"]] += 1
        total[call["name"]] += call["dur"]
    return {name: [round(us / 1e3, 1), count[name]] for name, us in total.most_common(15)}


if __name__ == "__main__":
    main()
