"""`psol plan`: what a run takes, before a GPU is taken: images, hours, storage and traffic, each with its source."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from psol_ray.distributed.address import find_address
from psol_ray.distributed.shares import divide_cpus
from psol_ray.in_process import InProcess
from psol_ray.pipeline.context import IN_PROCESS, Context
from psol_ray.pipeline.speeds import Speed, Speeds
from psol_ray.pipeline.workload import Workload, find_workload, images_of_rate
from psol_ray.preflight.rates import EFFICIENCY, GPUS, images_per_second

__all__ = ["plan"]

_GB = 1e9
_GPUS_SHOWN = ("L4", "A100", "H100")


@dataclass(frozen=True)
class _Devices:
    """What a run would have: workers, and what each of them has, a GPU of this name or else CPUs, as far as known."""

    workers: int
    gpu: str | None
    source: str
    cpus: int = 0

    @property
    def unit(self) -> str:
        return "GPU hours" if self.gpu else "machine hours"


def plan(context: Context) -> None:
    """Print what the run takes; nothing is made, and of a cluster no GPU is taken."""
    workload, devices = find_workload(context), _devices(context)
    speeds = Speeds(context, devices.gpu, devices.cpus)
    console = context.console
    console.print(_images_table(workload))
    rows = [(stage, _hours(workload, speeds, stage)) for stage in dict.fromkeys(p.stage for p in workload.passes)]
    console.print(_hours_table(rows, devices))
    if devices.gpu is None:
        console.print(_other_gpus_table(workload, devices.workers))
    console.print(_bytes_table(workload))
    _print_notes(console)


def _devices(context: Context) -> _Devices:
    config = context.config.cluster
    if config.address != IN_PROCESS and find_address(config).value != "local":
        # Late: Ray takes seconds to import.
        from psol_ray.distributed.cluster import find_nodes
        from psol_ray.distributed.connection import connect
        from psol_ray.distributed.devices import accelerator

        connect(config)
        nodes = find_nodes()
        gpus = sum(node.num_gpus for node in nodes)
        workers = config.workers or gpus or max(len(nodes), 1)
        cpus = min((share.resources.num_cpus for share in divide_cpus(nodes, workers)), default=0)
        return _Devices(workers, accelerator() if gpus else None, "the cluster", cpus)
    from psol_ray.preflight.measure import device_name

    source = "cluster.workers" if config.workers else "this machine"
    workers = config.workers or 1
    return _Devices(workers, device_name(), source, InProcess.num_cpus() // workers)


def _hours(workload: Workload, speeds: Speeds, stage: str) -> tuple[float | None, list[Speed]]:
    """Hours of one worker for a stage, None where a rate is not known, and where its rates are from."""
    passes = [each for each in workload.passes if each.stage == stage and each.images]
    if recorded := speeds.recorded(stage, passes):
        return images_of_rate(passes) / recorded.rate / 3600, [recorded]
    found = [(each, speeds.of(each)) for each in passes]
    if any(speed is None for _, speed in found):
        return None, []
    used = [(each, speed) for each, speed in found if speed is not None]
    return sum(each.images / speed.rate for each, speed in used) / 3600, [speed for _, speed in used]


def _images_table(workload: Workload) -> Table:
    counts = workload.counts
    table = _table("Images", "what", "number", "source")
    table.add_row("classes", f"{counts.classes:,}", counts.source)
    table.add_row("training images", f"{counts.train:,}", counts.source)
    table.add_row("test images", f"{counts.test:,}", counts.source)
    return table


def _hours_table(rows: Sequence[tuple[str, tuple[float | None, list[Speed]]]], devices: _Devices) -> Table:
    cpus = f"{devices.cpus} CPUs" if devices.cpus else "CPUs of a machine"
    number = f"{devices.workers} x {devices.gpu or cpus}, by {devices.source}"
    table = _table(f"Time on {number}", "stage", "images/s", devices.unit, "wall hours", "source of the rate")
    total = 0.0
    for stage, (hours, speeds) in rows:
        if hours is None:
            table.add_row(stage, "", "not known", "", "operations cannot be counted, and no run has measured it")
            continue
        total += hours
        rates = " and ".join(dict.fromkeys(f"{speed.rate:,.3g}" for speed in speeds))
        sources = "; ".join(dict.fromkeys(speed.source for speed in speeds))
        table.add_row(stage, rates, _number(hours), _number(hours / devices.workers), sources)
    table.add_row("all", "", _number(total), _number(total / devices.workers), "")
    return table


def _other_gpus_table(workload: Workload, workers: int) -> Table:
    """What GPUs would make of it, for who has to ask for some."""
    table = _table("On GPUs instead", "GPU", "GPU hours", f"wall hours on {workers}", "source")
    for gpu in _GPUS_SHOWN:
        hours = 0.0
        for each in workload.passes:
            rate = images_per_second(each.network.flops, [gpu])
            hours += each.images * each.factor / rate / 3600 if rate else float("nan")
        source = f"derived: {EFFICIENCY:.0%} of {GPUS[gpu]:.0f} TFLOP/s"
        table.add_row(gpu, _number(hours), _number(hours / workers), source)
    return table


def _bytes_table(workload: Workload) -> Table:
    table = _table("Bytes", "what", "GB", "source")
    for what, number, source in _bytes(workload):
        table.add_row(what, "not known" if number is None else _number(number / _GB), source)
    return table


def _bytes(workload: Workload) -> Iterator[tuple[str, float | None, str]]:
    counts = workload.counts
    mean = counts.bytes_per_image
    source = "files of the images" if counts.source == "catalog" else "files of some images"
    yield "images", None if mean is None else mean * counts.images, source
    passes = f"derived: {workload.images_read:,} files read"
    yield "read from data.root, all stages", None if mean is None else mean * workload.images_read, passes
    yield "written to run_dir, kept", workload.bytes_written, "derived: bytes a row, numbers of the networks"
    yield "there while a network trains", workload.bytes_while_training, "derived: two checkpoints"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for name in columns:
        is_text = name in ("what", "stage", "source", "source of the rate", "GPU")
        table.add_column(name, justify="left" if is_text else "right", no_wrap=not is_text)
    return table


def _number(amount: float) -> str:
    """Two digits, or all before the point; nobody plans with less than a hundredth."""
    if amount != amount:
        return "not known"
    if amount >= 10:
        return f"{amount:,.0f}"
    return f"{amount:.2g}" if amount >= 0.01 or not amount else "under 0.01"


def _print_notes(console: Console) -> None:
    console.print(
        "Wall hours divide by the workers and leave out starts, which take seconds to minutes a stage. Derived hours"
        " are of the network alone: where data are read more slowly than it works (`psol doctor` says so), they are"
        " longer.",
        highlight=False,
    )
