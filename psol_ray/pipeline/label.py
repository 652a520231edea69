"""`psol label`: pseudo boxes of a folder of images in one format, and the page, by one command and no settings."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath

from psol_ray.distributed.settings import ClusterConfig
from psol_ray.errors import UserError, without_secrets
from psol_ray.evaluation.ground_truth import has_truth
from psol_ray.pipeline import boxes, index
from psol_ray.pipeline.context import IN_PROCESS, Context
from psol_ray.pipeline.evaluate import evaluate
from psol_ray.pipeline.export import export
from psol_ray.pipeline.report import report
from psol_ray.storage.addresses import is_uri
from psol_ray.tables.files import absolute

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
    with _earlier_set_aside(Path(folder), Path(out, _RUN, f"_EXPORTED_{config.export.format}")):
        export(run)
    if has_truth(run.catalog()):
        evaluate(run)
    report(run, title=PurePosixPath(without_secrets(absolute(images))).name)


def _has_one_worker() -> bool:
    import torch

    return torch.cuda.device_count() <= 1


@contextmanager
def _earlier_set_aside(folder: Path, mark: Path) -> Iterator[None]:
    """For the block, an export that this command has made lies under another name; it goes once there is a new one.

    `mark` says that what lies in `folder` is this command's own: it is there before anything is.
    """
    if not folder.exists() or not any(folder.iterdir()):
        mark.touch()
    earlier = folder.with_name(f".{folder.name}.earlier")
    if mark.exists() and folder.exists():
        shutil.rmtree(earlier, ignore_errors=True)
        folder.replace(earlier)
    try:
        yield
    except BaseException:
        if earlier.exists() and not folder.exists():
            earlier.replace(folder)
        raise
    shutil.rmtree(earlier, ignore_errors=True)
