"""Images a second of one worker: as an earlier run had them, measured here, or derived; in this order."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow.fs as pafs

from psol_ray.errors import UserError
from psol_ray.in_process import InProcess
from psol_ray.models.lookup import backbone_of
from psol_ray.pipeline.context import Context
from psol_ray.pipeline.some_images import some_images
from psol_ray.pipeline.workload import Network, Pass
from psol_ray.preflight.rates import EFFICIENCY, images_per_second, tflops_of
from psol_ray.tables import Provenance, RunDir
from psol_ray.tables.files import open_uri

__all__ = ["Speed", "Speeds"]

_MOST_RUNS = 50
_FEW_IMAGES = 100
_NUM_DECODED = 32


@dataclass(frozen=True)
class Speed:
    """Images a second of one worker, and where that is from."""

    rate: float
    source: str


@dataclass
class Speeds:
    """Rates for the device that a run would have: a GPU by its name, or else so many CPUs."""

    context: Context
    gpu: str | None
    cpus: int
    _measured: dict[tuple[Any, ...], Speed] = field(default_factory=dict)
    _decoding: dict[int, float] = field(default_factory=dict)

    def recorded(self, stage: str, passes: Sequence[Pass]) -> Speed | None:
        """What a run beside this one, or this one itself, had of the same network on the same device."""
        if not passes:
            return None
        name = {"predict": "predictions"}.get(stage, stage.removeprefix("train "))
        run_dir = self.context.run_dir
        for uri in _runs_beside(self.context.config.run_dir):
            made_by = RunDir(uri).stage(name).made_by()
            rate = None if made_by is None else RunDir(uri).stage(name).summary().get("rate")
            if rate and made_by and _is_same(made_by, passes) and self._is_device(rate["device"]):
                if rate["images"] < _FEW_IMAGES:
                    continue
                words = f"{rate['images']:,} images on {rate['device']}"
                own = "this run" if RunDir(uri).address == run_dir.address else RunDir(uri).address
                return Speed(rate["images"] / rate["worker_seconds"], f"measured by {own} ({words})")
        return None

    def _is_device(self, device: str) -> bool:
        if self.gpu is None:
            return device == f"{self.cpus} CPUs"
        return not device.endswith("CPUs") and _same_gpu(device, self.gpu)

    def of(self, each: Pass) -> Speed | None:
        """The rate of a pass; None where it can be neither measured nor derived."""
        # Late: torch takes seconds to import.
        from psol_ray.preflight.measure import device_name

        here = device_name()
        if (self.gpu is None and here is None) or (self.gpu and here and _same_gpu(self.gpu, here)):
            return self._measure(each)
        rate = images_per_second(each.network.flops, [self.gpu or ""])
        if rate is None or self.gpu is None:
            return None
        share = f"{EFFICIENCY:.0%} of {tflops_of(self.gpu):.0f} TFLOP/s"
        return Speed(rate / each.factor, f"derived from operations, {share}")

    def _measure(self, each: Pass) -> Speed:
        from psol_ray.preflight.measure import network_rate

        key = (each.network, each.training, each.crops)
        if key not in self._measured:
            net = each.network
            rate = network_rate(net.backbone, net.input_size, features_only=net.features_only, training=each.training)
            rate /= each.crops
            decoded = self._decode(net.input_size)
            if decoded is None:
                self._measured[key] = Speed(rate, f"measured here: the network alone{_busy()}")
            else:
                # A CPU does one or the other; beside a GPU both go on at once.
                both = min(rate, decoded) if self.gpu else 1 / (1 / rate + 1 / decoded)
                self._measured[key] = Speed(both, f"measured here: the network, reading and decoding{_busy()}")
        return self._measured[key]

    def _decode(self, size: int) -> float | None:
        from psol_ray.preflight.measure import decoding_rate

        if size not in self._decoding:
            addresses = some_images(self.context, _NUM_DECODED, seed=1)
            self._decoding[size] = decoding_rate(addresses, size, InProcess.num_cpus()) if addresses else 0.0
        return self._decoding[size] or None


def _busy() -> str:
    """Said of a measurement that others may have slowed down."""
    load, cpus = os.getloadavg()[0], InProcess.num_cpus()
    return f", while others kept it busy (load {load:.0f} on {cpus} CPUs)" if load > 1.5 * cpus else ""


def _is_same(made_by: Provenance, passes: Sequence[Pass]) -> bool:
    """Whether a stage was made by the networks of these passes, which saw as much of an image."""
    config, details = made_by.config, made_by.details
    if "classifiers" not in details:
        return all(_is_network(config, each.network) for each in passes)
    used = [(details["localizer"], config["view"]), *((net, config["class_view"]) for net in details["classifiers"])]
    return len(used) == len(passes) and all(
        view == each.view and _is_network(net, each.network) for (net, view), each in zip(used, passes, strict=True)
    )


def _is_network(made: Mapping[str, Any], network: Network) -> bool:
    if made.get("backbone") != network.backbone or (made.get("method") == "ddt") != network.features_only:
        return False
    return (made.get("input_size") or backbone_of("plan", network.backbone).input_size) == network.input_size


def _same_gpu(one: str, other: str) -> bool:
    """Whether Ray's name of a GPU (`H100`) and its driver's (`NVIDIA H100 80GB HBM3`) are of one kind."""
    return one == other or (tflops_of(one) is not None and tflops_of(one) == tflops_of(other))


def _runs_beside(uri: str) -> list[str]:
    """This run's directory first, then those beside it."""
    fs, path = open_uri("run_dir", uri)
    parent, _, name = path.rstrip("/").rpartition("/")
    found = [uri]
    if fs.type_name == "local" and parent:
        try:
            infos = fs.get_file_info(pafs.FileSelector(parent, allow_not_found=True))
        except (OSError, UserError):
            return found
        newest = sorted((i for i in infos if i.type == pafs.FileType.Directory), key=lambda i: i.mtime_ns, reverse=True)
        found += [info.path for info in newest[:_MOST_RUNS] if info.base_name != name]
    return found
