"""Lines of a log without what each begins with."""

import re

__all__ = ["messages"]

_PREFIX = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d \S[^:]*: ")


def messages(text: str) -> list[str]:
    """What a log's lines say, without time, machine, run and stage."""
    return [_PREFIX.sub("", line) for line in text.splitlines()]
