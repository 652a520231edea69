"""All checks of one machine, in the order of the table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psol_ray.preflight.clock import check_store_clock
from psol_ray.preflight.findings import Finding, found
from psol_ray.preflight.gpus import check_gpus, gpu_names
from psol_ray.preflight.machine import check_cpus, check_disk, check_limits, check_memory
from psol_ray.preflight.places import check_data, check_run_dir
from psol_ray.preflight.rates import images_per_second
from psol_ray.preflight.software import check_software
from psol_ray.preflight.weights import check_weights
from psol_ray.storage.addresses import Address
from psol_ray.tables.folder import Folder
from psol_ray.tables.patience import impatiently

__all__ = ["Lent", "Wanted", "examine", "examine_driver"]


@dataclass(frozen=True)
class Wanted:
    """What the run asks of every machine.

    Attributes:
        folder: the run directory.
        addresses: some images that the driver sees.
        bytes_written: what the run is going to write, about.
        flops: of the network that draws boxes, for an image; None where that is not known.
        endpoint: of the object store, whose clock counts; None where there is none.
    """

    folder: Folder
    addresses: Sequence[Address]
    bytes_written: float
    flops: float | None = None
    endpoint: str | None = None


@dataclass(frozen=True)
class Lent:
    """What Ray takes a machine to have; bytes of its object store, and where its files are."""

    num_cpus: int
    num_gpus: int
    object_store: float
    folder: str


def examine(wanted: Wanted, lent: Lent | None) -> list[Finding]:
    """Look at this machine.

    Args:
        wanted: what it has to have.
        lent: what Ray takes it to have; None without Ray.
    """
    num_workers = max(lent.num_gpus, 1) if lent else 1
    with impatiently():
        return [
            *found(check_software, "software"),
            *found(lambda: check_gpus(lent.num_gpus if lent else None), "GPUs"),
            *found(lambda: check_cpus(lent.num_cpus if lent else None), "CPUs"),
            *found(lambda: check_memory(num_workers), "memory free"),
            *found(lambda: check_limits(lent.object_store if lent else None), "limits"),
            *(found(lambda: check_disk("disk free, Ray", lent.folder, 0), "disk free, Ray") if lent else ()),
            *_places(wanted),
            *found(lambda: _data(wanted, lent), "data, files read"),
        ]


def examine_driver(wanted: Wanted, weights: Mapping[str, tuple[str, str]]) -> list[Finding]:
    """Look at where the command runs, apart from what workers need: versions, weights, run directory, clock.

    Args:
        wanted: what it has to have.
        weights: see `check_weights`.
    """
    with impatiently():
        return [
            *found(check_software, "software"),
            *found(lambda: check_weights(weights), "weights"),
            *_places(wanted),
        ]


def _places(wanted: Wanted) -> list[Finding]:
    folder, findings = wanted.folder, found(lambda: check_run_dir(wanted.folder), "run_dir, write and read")
    if folder.fs.type_name == "local":
        findings += found(lambda: check_disk("disk free, run_dir", folder.path, wanted.bytes_written), "disk free")
    endpoint = wanted.endpoint
    return findings if endpoint is None else findings + found(lambda: check_store_clock(endpoint), "clock")


def _data(wanted: Wanted, lent: Lent | None) -> list[Finding]:
    names = [name for name, _ in gpu_names()] if lent is None or lent.num_gpus else []
    rate = images_per_second(wanted.flops, names, lent.num_cpus if lent else None)
    needs = "" if rate is None else f"the network there may take up to {rate:,.0f} (derived from its operations)"
    return list(check_data(wanted.addresses, rate, needs))
