"""`psol COMMAND --config FILE.yaml --section.field VALUE`: parse, call, exit code."""

import sys
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

from psol_ray.cli.interrupts import INTERRUPTED, Interrupts
from psol_ray.cli.output import adapt_streams
from psol_ray.errors import UserError, without_secrets
from psol_ray.log import about
from psol_ray.stages import COMMANDS

if TYPE_CHECKING:
    from psol_ray.cli.parse import Invocation

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 when all is done, 2 after a mistake in the input, which is told in one sentence, 3 when what could be done is
        done and something is left out, 130 after Ctrl-C or another signal to end.
    """
    adapt_streams()
    arguments = sys.argv[1:] if argv is None else argv
    name = f"psol {arguments[0]}" if arguments and arguments[0] in COMMANDS else "psol"
    emptied: set[str] = set()

    def interruption() -> str:
        # Of several stages, those that follow would be complete, of other inputs, or both.
        last = "predictions" if name in ("psol run", "psol transfer") else None
        without = " without --overwrite" if emptied and (last is None or last in emptied) else ""
        return f"{name}: interrupted; the same command{without} goes on from here"

    with Interrupts(interruption, abandon=partial(_leave_ray, "kill")) as interrupts:
        try:
            return _run(name, arguments, emptied)
        except BaseException as error:
            # Ray ends the process itself while it starts, and what is interrupted may fail with errors of its own.
            if interrupts.received or isinstance(error, KeyboardInterrupt):
                interrupts.tell()
                _leave_ray("disconnect")
                return INTERRUPTED
            if isinstance(error, UserError):
                print(f"{name}: {without_secrets(str(error))}", file=sys.stderr)
                return 2
            if isinstance(error, OSError) and error.filename is not None:  # one that nobody has foreseen
                print(f"{name}: {error.filename}: {error.strerror}; fix that, and run it again", file=sys.stderr)
                return 2
            raise


def _run(name: str, arguments: Sequence[str], emptied: set[str]) -> int:
    """Run one command; returns the exit code. `emptied` takes in the stages that it has emptied so far."""
    # Late, and no more than the command needs: what reads settings takes a second to import, torch and Ray many.
    if name == "psol":
        import_module("psol_ray.cli.overview").show(arguments)
        return 0
    gaps = _call(import_module("psol_ray.cli.parse").parse(arguments), emptied)
    for gap in gaps:
        print(f"{name}: done, but not whole: {gap}", file=sys.stderr)
    return 3 if gaps else 0


def _leave_ray(how: Literal["disconnect", "kill"]) -> None:
    """End the Ray that was started here, or leave the cluster, whose actors for this command end with that."""
    connection = sys.modules.get("psol_ray.distributed.connection")
    if hasattr(connection, how):  # else it was not imported, or not to its end
        getattr(connection, how)()


def _call(invocation: "Invocation", emptied: set[str]) -> list[str]:
    """Run the command; returns in what its results are not whole."""
    gaps: list[str] = []
    module, _, function = invocation.command.function.partition(":")
    given: list[Any] = []
    if invocation.config is not None:
        import_module("psol_ray.cli.paths").check_paths(invocation.command, invocation.config)
        if "cluster" in invocation.command.sections:
            # Also where everything turns out to be complete, for then nothing else would tell of the mistake.
            import_module("psol_ray.distributed.address").find_address(invocation.config.cluster)
        context = import_module("psol_ray.pipeline.context").Context
        given.append(context(invocation.config, invocation.overwrite, invocation.skip, gaps=gaps, emptied=emptied))
    if invocation.argument is not None:
        given.append(invocation.argument)
    with about(run=given[0].run_dir.name if invocation.config is not None and invocation.command.in_run else ""):
        getattr(import_module(f"psol_ray.pipeline.{module}"), function)(*given)
    return gaps
