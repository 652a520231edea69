"""`psol COMMAND --config FILE.yaml --section.field VALUE`: parse, call, exit code."""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from psol_ray.errors import UserError
from psol_ray.stages import COMMANDS

if TYPE_CHECKING:
    from psol_ray.cli.parse import Invocation

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 when all is done, 2 after a mistake in the input, which is told in one sentence, 3 when what could be done is
        done and something is left out, 130 after Ctrl-C.
    """
    arguments = sys.argv[1:] if argv is None else argv
    name = f"psol {arguments[0]}" if arguments and arguments[0] in COMMANDS else "psol"
    try:
        # Late, and no more than the command needs: what reads settings takes a second to import, torch and Ray many.
        if name == "psol":
            import_module("psol_ray.cli.overview").show(arguments)
        else:
            gaps = _call(import_module("psol_ray.cli.parse").parse(arguments))
            for gap in gaps:
                print(f"{name}: done, but not whole: {gap}", file=sys.stderr)
            return 3 if gaps else 0
    except UserError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{name}: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def _call(invocation: "Invocation") -> list[str]:
    """Run the command; returns in what its results are not whole."""
    gaps: list[str] = []
    module, _, function = invocation.command.function.partition(":")
    given: list[Any] = []
    if invocation.config is not None:
        context = import_module("psol_ray.pipeline.context").Context
        given.append(context(invocation.config, invocation.overwrite, invocation.skip, gaps=gaps))
    if invocation.argument is not None:
        given.append(invocation.argument)
    getattr(import_module(f"psol_ray.pipeline.{module}"), function)(*given)
    return gaps
