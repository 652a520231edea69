"""Images/s of the decoder alone, over its settings: DALI where it is installed, else Pillow.

    PYTHONPATH=PROJECT:SITE python decode_sweep.py --images CUB_200_2011/images --out FILE.json [--seconds 60]

Files are in the page cache, as after the first pass; `pipelines` decoders work at the same time, as in the engine.
A pipeline of the engine has as many threads as its actor has cores.
"""

import argparse
import itertools
import json
import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from measure import CUDA, Deadline

from psol_ray.images.decoder import make_decoder

CORES = len(os.sched_getaffinity(0))
Json = dict[str, Any]


def main() -> None:
    """Try settings, the ones that are wanted most first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--each", type=float, default=2.0, help="seconds a setting")
    arguments = parser.parse_args()
    paths = [str(path) for path in sorted(arguments.images.rglob("*.jpg"))]
    until, rows = Deadline(arguments.seconds), []
    total = sum(len(Path(path).read_bytes()) for path in paths)
    print(f"{len(paths)} files of {total / len(paths) / 1e3:.0f} kB on average, {CORES} cores", flush=True)
    for setting in _settings():
        if until.is_over():
            print("no time left for", setting, flush=True)
            continue
        try:
            setting["images_per_s"], setting["cpu_ms_an_image"] = _rate(paths, arguments.each, **setting)
        except Exception as error:
            setting["failed"] = repr(error)[:300]
        rows.append(setting)
        print(setting, flush=True)
    Path(arguments.out).write_text(
        json.dumps({"files": len(paths), "bytes": total, "cores": CORES, "rows": rows}, indent=1)
    )


def _settings() -> list[Json]:
    usual = {"pipelines": 2, "threads": CORES, "hw_share": 1.0, "batch": 64}
    if not CUDA:
        return [usual | {"pipelines": 1, "batch": 8}]
    changes: list[Json] = [
        {},
        {"threads": CORES // 2},
        {"hw_share": 0.0},
        {"hw_share": 0.65},
        {"pipelines": 1},
        {"pipelines": 3, "threads": CORES // 2},
        {"batch": 128},
        {"batch": 128, "threads": CORES // 2},
        {"batch": 256, "pipelines": 1},
        {"threads": CORES // 4},
        {"hw_share": 0.5},
    ]
    return [usual | change for change in changes] + [usual | {"side": 224, "regions": False}]


def _rate(
    paths: Sequence[str],
    seconds: float,
    *,
    pipelines: int,
    threads: int,
    hw_share: float,
    batch: int,
    side: int = 448,
    regions: bool = False,
) -> tuple[float, float]:
    gpu = 0 if CUDA else None
    decoders = [
        make_decoder(side, batch, regions=regions, num_threads=threads, gpu=gpu, hw_share=hw_share)
        for _ in range(pipelines)
    ]
    counts, errors = [0] * pipelines, []
    stop = threading.Event()

    def work(number: int) -> None:
        try:
            wanted = itertools.islice(itertools.cycle(paths), number * 31, None)
            while not stop.is_set():
                decoded = decoders[number].decode(list(itertools.islice(wanted, batch)))
                counts[number] += int(decoded.ok_N.sum())
        except Exception as error:
            errors.append(error)

    workers = [threading.Thread(target=work, args=(number,)) for number in range(pipelines)]
    for worker in workers:
        worker.start()
    while min(counts) < 3 * batch and not errors:
        time.sleep(0.01)
    before, started, cpu = sum(counts), time.perf_counter(), time.process_time()
    time.sleep(seconds)
    done, taken, cpu = sum(counts) - before, time.perf_counter() - started, time.process_time() - cpu
    stop.set()
    for worker in workers:
        worker.join()
    if errors:
        raise errors[0]
    if CUDA:
        torch.cuda.synchronize()
    return done / taken, cpu / max(done, 1) * 1e3


if __name__ == "__main__":
    main()
