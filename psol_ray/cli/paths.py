"""Paths in settings: what is no path, and what one means in a job that was submitted to a Ray cluster.

Such a job runs in a folder that Ray unpacks and deletes.
"""

import os
import re

from psol_ray.config import Config
from psol_ray.errors import UserError
from psol_ray.log import say
from psol_ray.stages import Command

__all__ = ["check_paths"]

# Where Ray puts what a submitted job was given; and how it names what it unpacks.
_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
_PACKAGE = "_ray_pkg_"
_ONE_SLASH = re.compile(r"[a-z][a-z0-9+.-]+:/(?!/)")


def check_paths(command: Command, config: Config) -> None:
    """Refuse paths that mean nothing, and results that would be written where nobody would find them again; say where
    images were uploaded with the code.

    Raises:
        UserError: a path is empty, or a URI with one slash; or `run_dir`, or where an export goes, is relative or in
            the job's package.
    """
    written = {"run_dir": config.run_dir} if command.in_run else {}
    if "export" in command.sections:
        written["export.out"] = config.export.out
    if "pack" in command.sections and config.pack.out is not None:
        written["pack.out"] = config.pack.out
    read = {"data.root": config.data.root, "data.metadata": config.data.metadata} if "data" in command.sections else {}
    for setting, path in {**written, **read}.items():
        _check_spelling(setting, path)
    if _JOB not in os.environ and _PACKAGE not in os.environ.get("PWD", ""):
        return
    for setting, path in written.items():
        if _is_in_job(path):
            raise UserError(
                f"{setting}: found {path!r} in a job that was submitted to Ray, whose folder is unpacked anew for each"
                " change of the code and deleted in the end; give an absolute path that all machines see, or an s3://"
                " URI"
            )
    if "data" in command.sections and _is_in_job(config.data.root):
        say(
            f"data.root: found {config.data.root!r}, which was uploaded with the job and is on the machine of the"
            " driver alone; give an absolute path that all machines see"
        )


def _check_spelling(setting: str, path: str | None) -> None:
    if path == "":
        raise UserError(f"{setting}: found nothing, expected a path; is a variable empty?")
    if path is not None and (scheme := _ONE_SLASH.match(path)):
        right = scheme.group().replace(":/", "://")
        raise UserError(f"{setting}: found {path!r}, expected a path or a URI; write {right} for a URI")


def _is_in_job(path: str) -> bool:
    return "://" not in path and (not os.path.isabs(path) or _PACKAGE in os.path.realpath(path))
