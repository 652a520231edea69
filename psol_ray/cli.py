"""`psol COMMAND --config FILE.yaml --section.field VALUE`: parse, call, exit code."""

import sys
from collections.abc import Callable, Sequence

from psol_ray.errors import UserError
from psol_ray.settings import Invocation, parse

__all__ = ["main"]


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


def _call(invocation: Invocation) -> None:
    # Late, because torch and Ray take seconds to import, and --help or a misspelt field should not.
    from psol_ray.pipeline.boxes import locate
    from psol_ray.pipeline.context import Context
    from psol_ray.pipeline.evaluate import score
    from psol_ray.pipeline.export import export
    from psol_ray.pipeline.index import index
    from psol_ray.pipeline.predict import predict
    from psol_ray.pipeline.report import report
    from psol_ray.pipeline.train import train_model
    from psol_ray.pipeline.whole import run

    context = Context(invocation.config, invocation.overwrite)
    if invocation.model is not None:
        return train_model(context, invocation.model)
    commands: dict[str, Callable[[Context], None]] = {
        "run": run,
        "index": index,
        "boxes": locate,
        "predict": predict,
        "evaluate": score,
        "report": report,
        "export": export,
    }
    return commands[invocation.command](context)


if __name__ == "__main__":
    sys.exit(main())
