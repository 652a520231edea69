"""`psol doctor`: looks at every machine before a run, and says what will not work and what will be slow."""

from collections.abc import Mapping, Sequence
from typing import Any

from psol_ray.errors import UserError, without_secrets
from psol_ray.pipeline.context import IN_PROCESS, Context
from psol_ray.pipeline.some_images import some_images
from psol_ray.pipeline.workload import Workload, find_workload
from psol_ray.prediction.ensemble import own_models
from psol_ray.preflight.clock import store_endpoint
from psol_ray.preflight.examine import Wanted, examine, examine_driver
from psol_ray.preflight.findings import Finding
from psol_ray.preflight.software import agree
from psol_ray.preflight.table import TITLES, complaints, findings_table
from psol_ray.preflight.weights import check_weights
from psol_ray.storage.addresses import Address
from psol_ray.tables.files import absolute

__all__ = ["doctor"]

_DRIVER, _THIS_MACHINE = "this process", "this machine"
# Some tens for each of a hundred machines are read in seconds.
_NUM_IMAGES = 2000
_IMAGES_SEEN_BY_ALL = 5


def doctor(context: Context) -> None:
    """Look at all machines, print what was found, and end with a UserError where something will not work."""
    root = absolute(context.config.data.root)
    addresses = _some_images(context)
    workload = _workload(context)
    wanted = Wanted(
        context.run_dir.folder(),
        addresses,
        workload.bytes_written if workload else 0.0,
        workload.boxes_flops if workload else None,
        store_endpoint(context.config.run_dir),
    )
    findings = agree(_examine(context, wanted, root), _reference(context))
    if not addresses and context.config.data.layout != "demo":  # which makes its own
        findings[_reference(context)].append(_no_images(root))
    _print(context, findings)
    if broken := complaints(findings, "broken"):
        number = f"{len(broken)} things" if len(broken) > 1 else "one thing"
        raise UserError(f"found {number} that will not work, listed above; mend that, and run it again")


def _some_images(context: Context) -> list[Address]:
    """None where the data cannot be listed, which is told as that there are none."""
    try:
        return some_images(context, _NUM_IMAGES, seed=0)
    except UserError as error:
        context.console.print(str(error), soft_wrap=True, markup=False, highlight=False)
        return []


def _no_images(root: str) -> Finding:
    remedy = f"no image was found in data.root {without_secrets(root)}; mount the data, or correct the path"
    return Finding("data", "no images", "broken", remedy)


def _reference(context: Context) -> str:
    return _THIS_MACHINE if context.config.cluster.address == IN_PROCESS else _DRIVER


def _workload(context: Context) -> Workload | None:
    """What the run will do, as far as can be known before it."""
    try:
        return find_workload(context)
    except UserError:  # `psol plan` tells; here it only leaves out some comparisons
        return None


def _examine(context: Context, wanted: Wanted, root: str) -> dict[str, list[Finding]]:
    weights = _weights(context)
    if context.config.cluster.address == IN_PROCESS:
        return {_THIS_MACHINE: [*examine(wanted, None), *check_weights(weights)]}
    # Late: Ray takes seconds to import.
    from psol_ray.distributed.examination import examine_nodes

    seen = wanted.addresses[:: max(len(wanted.addresses) // _IMAGES_SEEN_BY_ALL, 1)]
    nodes = examine_nodes(context.config.cluster, wanted, root, seen)
    return {_DRIVER: examine_driver(wanted, weights), **nodes}


def _weights(context: Context) -> Mapping[str, tuple[str, str]]:
    config = context.config
    trained: dict[str, Any] = {name: getattr(config, name) for name in own_models(config.predict)}
    drawn: dict[str, Any] = {"boxes": config.boxes} if config.boxes.method == "ddt" else {}
    return {name: (section.backbone, section.weights) for name, section in {**drawn, **trained}.items()}


def _print(context: Context, findings: Mapping[str, Sequence[Finding]]) -> None:
    console = context.console
    number = len(findings) - (_DRIVER in findings)
    machines = f"{number} machines" if number > 1 else "one machine"
    console.print(f"{machines}, run_dir {context.run_dir.address}", soft_wrap=True, markup=False, highlight=False)
    console.print(findings_table(findings))
    for verdict, title in TITLES.items():
        if told := complaints(findings, verdict):
            console.print(f"[bold]{title}[/]")
            for line in told:
                console.print(f"- {line}", soft_wrap=True, markup=False, highlight=False)
    if not any(complaints(findings, verdict) for verdict in TITLES):
        console.print("Nothing stands in the way.")
