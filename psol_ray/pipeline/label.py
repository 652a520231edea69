"""`psol label`: pseudo boxes of a folder of images in one format, and the page, by one command and no settings."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow.compute as pc

from psol_ray.distributed.settings import ClusterConfig
from psol_ray.errors import UserError
from psol_ray.pipeline import boxes, index
from psol_ray.pipeline.context import IN_PROCESS, Context
from psol_ray.pipeline.evaluate import evaluate
from psol_ray.pipeline.export import export
from psol_ray.pipeline.report import report
from psol_ray.storage.addresses import is_uri

__all__ = ["label"]

_RUN = "run"


def label(context: Context, images: str) -> None:
    """Index, boxes, an export and the page, in the folder `export.out`: `FORMAT/`, and the run directory `run/`.

    A stage that is complete does nothing, so the same command goes on where it was interrupted, and with another format
    it writes that one beside the first.

    Raises:
        UserError: the images or settings are not what they should be; see each stage.
    """
    config = context.config
    out = config.export.out
    if is_uri(out):
        raise UserError(f"--out {out}: found a URI, expected a folder on this machine; give one and copy it from there")
    if not is_uri(images) and Path(os.path.realpath(out)).is_relative_to(os.path.realpath(images)):
        raise UserError(f"--out {out}: found a folder inside {images}, expected one beside it; give another one")
    cluster = config.cluster
    if cluster == ClusterConfig() and _has_one_worker():
        # Ray takes seconds to start, and would start one worker.
        cluster = replace(cluster, address=IN_PROCESS)
    folder = os.path.join(out, config.export.format)
    run = replace(
        context,
        config=replace(
            config,
            run_dir=os.path.join(out, _RUN),
            data=replace(config.data, root=images),
            export=replace(config.export, table="boxes", out=folder),
            cluster=cluster,
        ),
    )
    run.run_dir.check_writable()
    for check in (index.check, boxes.check):
        check(run)
    index.index(run)
    boxes.boxes(run)
    # Made anew each time, as the page is: it takes seconds and depends on nothing but tables.
    if _is_own(folder):
        shutil.rmtree(folder)
    export(run)
    Path(out, _RUN, _own_mark(folder)).touch()
    if _has_truth(run):
        evaluate(run)
    report(run, title=os.path.basename(images.rstrip("/")))


def _has_one_worker() -> bool:
    import torch

    return torch.cuda.device_count() <= 1


def _has_truth(context: Context) -> bool:
    """Whether images came with boxes of their own, against which the pseudo boxes can be scored."""
    counts = pc.list_value_length(context.catalog()["gt_boxes"])
    return bool(pc.any(pc.greater(counts, 0)).as_py())


def _own_mark(folder: str) -> str:
    return f"_EXPORTED_{os.path.basename(folder)}"


def _is_own(folder: str) -> bool:
    """Whether what lies there was written by this command."""
    return Path(os.path.dirname(folder), _RUN, _own_mark(folder)).exists() and os.path.isdir(folder)
