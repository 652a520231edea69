"""`psol status RUN...`: how runs stand, as plain lines that can be pasted anywhere."""

from collections.abc import Sequence

from psol_ray.report.run_status import RunStatus

__all__ = ["status"]


def status(run_dirs: Sequence[str]) -> None:
    """Print it of each; needs neither Ray nor the machines that work on it.

    Raises:
        UserError: one is no run directory, or cannot be read.
    """
    for place, run_dir in enumerate(run_dirs):
        if place:
            print()
        for line in RunStatus(run_dir).lines():
            print(line)
