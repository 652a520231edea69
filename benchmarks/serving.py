"""What HTTP and Ray Serve cost: `psol serve` against the bare networks, while it is abused, and while replicas die.

    python benchmarks/serving.py --images CUB_200_2011 --layout cub --out FILE.json

The network is one for boxes and ten classes, of random weights. A server of its own is started. At each number of
clients it takes turns with the bare networks, `--rounds` times, since others may use the machine: as many processes,
each with as many threads, decode the same files and run the same networks with nobody between, in batches as large as
the number of clients allows. Server, replicas and clients are on one machine and share its cores, so that what the
client costs is counted against the server. Latencies are of all rounds together.
"""

import argparse
import asyncio
import io
import multiprocessing
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
from data import add_images, find_images, read_catalog
from PIL import Image
from result import Json, print_table, write_result

from psol_ray.models.saved import SavedNetwork
from psol_ray.storage.addresses import image_addresses

CLIENTS = (1, 8, 64)
_START_SECONDS = 300


def main() -> None:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_images(parser)
    parser.add_argument("--backbone", default="tf_efficientnet_lite0")
    parser.add_argument("--input-size", type=int, default=224)
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--num-images", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each turn")
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--out", required=True, help="JSON file to write")
    parser.add_argument("--smoke", action="store_true", help="one round of half a second, one kill")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.rounds, arguments.seconds, arguments.num_images, arguments.kills = 1, 0.5, 8, 1
    find_images(arguments)
    addresses = image_addresses(arguments.images, read_catalog(arguments).slice(0, arguments.num_images))
    photos = [Path(str(address)).read_bytes() for address in addresses]
    with tempfile.TemporaryDirectory() as folder:
        metrics = _measure(arguments, photos, Path(folder))
    write_result(arguments.out, {"benchmark": "serving", **vars(arguments)}, metrics)
    print_table([{name: value for name, value in row.items() if name != "pairs"} for row in metrics["clients"]])
    print_table([metrics["abuse"]])
    print_table([metrics["kills"]])


def _measure(arguments: argparse.Namespace, photos: list[bytes], folder: Path) -> Json:
    model = folder / "model.safetensors"
    saved = SavedNetwork(arguments.backbone, arguments.input_size, num_boxes=1, num_classes=10)
    model.write_bytes(saved.to_bytes(saved.build(), {}))
    with _bare(arguments, model) as rate, _server(arguments, model) as server:
        rows = [_compare(arguments, photos, rate, server, clients) for clients in CLIENTS]
        return {
            "photo_kb": statistics.mean(map(len, photos)) / 1000,
            "clients": rows,
            "abuse": asyncio.run(_abuse(arguments, photos, server)),
            "kills": asyncio.run(_kill(arguments, photos, server)),
        }


def _compare(arguments: argparse.Namespace, photos: list[bytes], rate: Any, server: "_Server", clients: int) -> Json:
    asyncio.run(_send(server.url, photos, clients, arguments.seconds / 4))
    pairs, seconds = [], []
    for _ in range(arguments.rounds):
        bare = rate(photos, clients, arguments.seconds)
        statuses, taken, wall = asyncio.run(_send(server.url, photos, clients, arguments.seconds))
        if set(statuses) != {200}:
            raise RuntimeError(f"found {statuses}, expected 200 alone")
        pairs.append((bare, len(taken) / wall))
        seconds += taken
    seconds.sort()
    return {
        "clients": clients,
        "requests_per_s": statistics.median(served for _, served in pairs),
        "p50_ms": 1000 * _quantile(seconds, 0.5),
        "p99_ms": 1000 * _quantile(seconds, 0.99),
        "bare_per_s": statistics.median(bare for bare, _ in pairs),
        "of_bare": statistics.median(served / bare for bare, served in pairs),
        "pairs": pairs,
    }


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


async def _send(
    url: str, photos: Sequence[bytes], clients: int, seconds: float, until: asyncio.Event | None = None
) -> tuple[Counter[Any], list[float], float]:
    """Statuses, seconds of each request, and of all; each client sends as soon as it has its answer."""
    statuses: Counter[Any] = Counter()
    taken: list[float] = []
    started = time.perf_counter()

    async def client(session: aiohttp.ClientSession, index: int) -> None:
        while time.perf_counter() - started < seconds or (until is not None and not until.is_set()):
            index += 1
            sent = time.perf_counter()
            try:
                async with session.post(f"{url}/predict", data=photos[index % len(photos)]) as response:
                    await response.read()
                    statuses[response.status] += 1
            except (aiohttp.ClientError, TimeoutError) as error:
                statuses[type(error).__name__] += 1
            taken.append(time.perf_counter() - sent)

    timeout = aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
        await asyncio.gather(*(client(session, index) for index in range(clients)))
    return statuses, taken, time.perf_counter() - started


async def _abuse(arguments: argparse.Namespace, photos: list[bytes], server: "_Server") -> Json:
    """Eight clients send what is no photo, among it uploads that never end, while eight send photos."""
    bad = _bad(photos[0])
    port = int(server.url.rpartition(":")[2])
    slow = [await asyncio.open_connection("127.0.0.1", port) for _ in range(50)]
    for _, writer in slow:
        writer.write(b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n\xff\xd8")
    good, refused = await asyncio.gather(
        _send(server.url, photos, 8, arguments.seconds), _send(server.url, list(bad.values()), 8, arguments.seconds)
    )
    for _, writer in slow:
        writer.close()
    good[1].sort()
    return {
        "kinds": ", ".join(bad),
        "photos_by_status": _by_name(good[0]),
        "photos_p99_ms": 1000 * _quantile(good[1], 0.99),
        "others_by_status": _by_name(refused[0]),
    }


def _bad(photo: bytes) -> dict[str, bytes]:
    gif = io.BytesIO()
    Image.new("P", (64, 64)).save(gif, "GIF")
    bomb = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(bomb, "PNG")
    return {
        "empty": b"",
        "text": b"hello" * 100,
        "cut short": photo[: len(photo) // 2],
        "bomb": bomb.getvalue(),
        "GIF": gif.getvalue(),
        "21 MB": bytes(21_000_000),
    }


async def _kill(arguments: argparse.Namespace, photos: list[bytes], server: "_Server") -> Json:
    """A replica is killed again and again, each time once there are all again, while 64 clients send."""
    done = asyncio.Event()
    sending = asyncio.create_task(_send(server.url, photos, 64, 0, done))
    for _ in range(arguments.kills):
        while len(replicas := server.replicas()) < arguments.replicas or not await server.ready(arguments.replicas):
            await asyncio.sleep(0.5)
        await asyncio.sleep(1)
        os.kill(replicas[0], signal.SIGKILL)
        await asyncio.sleep(2)
    done.set()
    statuses, taken, _ = await sending
    taken.sort()
    return {
        "kills": arguments.kills,
        "requests": sum(statuses.values()),
        "by_status": _by_name(statuses),
        "sent_again": await server.metric("psol_serve_retries_total"),
        "p99_ms": 1000 * _quantile(taken, 0.99),
        "longest_ms": 1000 * taken[-1],
    }


def _by_name(statuses: Counter[Any]) -> dict[str, int]:
    return {str(status): number for status, number in sorted(statuses.items(), key=str)}


class _Server:
    """`psol serve`, in a process of its own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._name = f"ray::ServeReplica:psol-{os.uname().nodename}-{url.rpartition(':')[2]}:".encode()

    def replicas(self) -> list[int]:
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if path.read_bytes().startswith(self._name):
                    found.append(int(path.parent.name))
            except OSError:  # that process has ended
                continue
        return found

    async def ready(self, number: int) -> bool:
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}/readyz") as response:
            return (await response.json()).get("replicas") == number

    async def metric(self, name: str) -> float:
        async with aiohttp.ClientSession() as session, session.get(f"{self.url}/metrics") as response:
            found = re.search(rf"^{name} (.*)$", await response.text(), re.M)
            return float(found[1]) if found else 0.0


@contextmanager
def _server(arguments: argparse.Namespace, model: Path) -> Iterator[_Server]:
    settings = {"replicas": arguments.replicas, "batch_size": arguments.batch_size, "port": _free_port()}
    flags = [f"--serve.{name}={value}" for name, value in settings.items()]
    command = [sys.executable, "-m", "psol_ray.cli", "serve", str(model), *flags]
    log = model.with_name("log")
    others = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=others)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not (found := re.search(r"serving on (\S+)", log.read_text())):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start: {log.read_text()}")
            time.sleep(0.2)
        yield _Server(found[1])
    finally:
        process.terminate()
        process.wait(60)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@contextmanager
def _bare(arguments: argparse.Namespace, model: Path) -> Iterator[Any]:
    """A function that says how many photos a second as many processes do with the networks alone."""
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe() for _ in range(arguments.replicas)]
    threads = max(len(os.sched_getaffinity(0)) // arguments.replicas, 1)
    processes = [context.Process(target=_work, args=(theirs, str(model), threads), daemon=True) for _, theirs in pipes]
    for process in processes:
        process.start()
    for ours, _ in pipes:
        ours.recv()

    def rate(photos: Sequence[bytes], clients: int, seconds: float) -> float:
        # One client has one photo anywhere; several are shared out.
        working = pipes[: min(clients, len(pipes))]
        batch = max(min(clients // len(working), arguments.batch_size), 1)
        for ours, _ in working:
            ours.send((photos, batch, seconds))
        return float(sum(ours.recv() for ours, _ in working))

    yield rate
    for process in processes:
        process.terminate()


def _work(pipe: Any, model: str, threads: int) -> None:
    from psol_ray.serving.worker import PhotoWorker
    from psol_ray.work.jobs import Resources

    worker = PhotoWorker(model, None, 10**9, Resources(threads))
    pipe.send(None)
    while True:
        photos, batch, seconds = pipe.recv()
        started, done = time.perf_counter(), 0
        while time.perf_counter() - started < seconds:
            chosen = [photos[(done + i) % len(photos)] for i in range(batch)]
            worker.locate([worker.squash(photo) for photo in chosen])
            done += batch
        pipe.send(done / (time.perf_counter() - started))


if __name__ == "__main__":
    main()
