"""The engine in one process, files to Parquet, with each way to run its network: does it keep up with the fastest?

    PYTHONPATH=PROJECT:SITE:PROJECT/benchmarks python engine_ways.py --images DIR --weights FILE --out FILE.json

`--images` is a tree of the layout folder (many.py makes one). The engine is the project's benchmark's
(`benchmarks/engine_parts.py`), whose network and batch size are exchanged; a run's first batch does not count.
"""

import argparse
import json
import tempfile
import traceback
from pathlib import Path
from typing import Any

import torch
from data import read_catalog, whole_classes, write_stage
from engine_parts import engine_in_process
from measure import CUDA, DEVICE, Deadline
from result import Json
from throughput_parts import CORES, GPU
from vgg16_ways import Network, make_extractor, ways

from psol_ray.generators.ddt.stream import FeatureStream
from psol_ray.images.decoder import make_decoders
from psol_ray.tables import RunDir


def main() -> None:
    """Ways in turn, then batch sizes; a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", required=True)
    parser.add_argument("--layout", default="folder")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--num-images", type=int, default=13000)
    parser.add_argument("--size", type=int, default=448)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--best", help="JSON of roofline.py, for the best way of each layer")
    parser.add_argument("--out", required=True)
    arguments = parser.parse_args()
    until, rows = Deadline(arguments.seconds), []
    best = _best(arguments.best)
    extractor = make_extractor(arguments.weights)
    with tempfile.TemporaryDirectory() as folder:
        write_stage(RunDir(folder), "catalog", whole_classes(read_catalog(arguments), arguments.num_images))
        params = {**vars(arguments), "run_dir": folder, "backbone": "vgg16", "input_size": arguments.size}
        params |= {"workers": None, "compile": False}
        for name, batch_size in _wanted(list(ways(extractor, 64, arguments.size, best))):
            if until.is_over():
                print(f"{name}, batch {batch_size}: no time left", flush=True)
                continue
            row: Json = {"way": name, "batch_size": batch_size}
            try:
                row |= _run(
                    params | {"batch_size": batch_size}, ways(extractor, batch_size, arguments.size, best)[name]()
                )
            except Exception:
                print(traceback.format_exc(limit=-2), flush=True)
                continue
            rows.append(row)
            print({key: round(v, 4) if isinstance(v, float) else v for key, v in row.items()}, flush=True)
    Path(arguments.out).write_text(json.dumps(rows, indent=1))


def _wanted(names: list[str]) -> list[tuple[str, int]]:
    """Ways and batch sizes, what is wanted most first; compiling takes longest."""
    if not CUDA:
        return [(name, 8) for name in names]
    others = ("best of each layer", "project, compiled", "layer by layer")
    first = [("project", 64), *((name, 64) for name in others if name in names), ("project", 128), ("project", 256)]
    return first + [(name, 64) for name in names if (name, 64) not in first]


def _run(params: Json, network: Network) -> Json:
    if CUDA:
        torch.cuda.reset_peak_memory_stats()

    def exchange(worker: Any) -> None:
        worker.stream.close()
        decoders = make_decoders(params["input_size"], params["batch_size"], num_threads=CORES, gpu=GPU)
        worker.stream = FeatureStream(decoders, torch.no_grad()(network), params["batch_size"], DEVICE)

    result = engine_in_process(params, exchange)
    if CUDA:
        stats = torch.cuda.memory_stats()
        result |= {
            "reserved_gpu_memory_mb": torch.cuda.max_memory_reserved() / 2**20,
            "alloc_retries": stats["num_alloc_retries"],
        }
    return result


def _best(path: str | None) -> list[str] | None:
    if path is None or not Path(path).is_file():
        return None
    rows = [row for row in json.loads(Path(path).read_text()).get("layers", [])[1:] if row["us"]]
    return [min(row["us"], key=row["us"].get) for row in rows] if len(rows) == 12 else None


if __name__ == "__main__":
    main()
