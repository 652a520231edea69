"""`psol COMMAND --config FILE.yaml --section.field VALUE`: parse, call, exit code."""

import sys
from collections.abc import Sequence
from importlib import import_module

from psol_ray.cli.parse import Invocation, TablesInvocation, parse
from psol_ray.errors import UserError

__all__ = ["main"]

# The module of psol_ray.pipeline and the function in it that a command calls.
_COMMANDS = {
    "run": ("whole", "run"),
    "index": ("index", "index"),
    "boxes": ("boxes", "locate"),
    "train": ("train", "train_model"),
    "predict": ("predict", "predict"),
    "evaluate": ("evaluate", "score"),
    "report": ("report", "report"),
    "transfer": ("whole", "transfer"),
    "import": ("exchange", "import_boxes"),
    "export": ("exchange", "export"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 when all is done, 2 after a mistake in the input, which is told in one sentence, 130 after Ctrl-C.
    """
    command = "psol"
    try:
        invocation = parse(sys.argv[1:] if argv is None else argv)
        command = f"psol {invocation.command}"
        _call(invocation)
    except UserError as error:
        print(f"{command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{command}: interrupted; the same command goes on from here", file=sys.stderr)
        return 130
    return 0


def _call(invocation: Invocation | TablesInvocation) -> None:
    # Late, and no more than the command needs: torch and Ray take seconds to import.
    if isinstance(invocation, TablesInvocation):
        import_module("psol_ray.pipeline.tables").print_tables(invocation.run_dirs)
        return
    context = import_module("psol_ray.pipeline.context").Context(invocation.config, invocation.overwrite)
    module, function = _COMMANDS[invocation.command]
    command = getattr(import_module(f"psol_ray.pipeline.{module}"), function)
    command(context, *([invocation.model] if invocation.model else []))
