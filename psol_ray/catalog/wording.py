"""How an error names many things: their number and the first of them."""

from collections.abc import Collection
from itertools import islice

__all__ = ["few"]


def few(names: Collection[str], shown: int = 3) -> str:
    """`cat, dog` or, where there are more than `shown`, `cat, dog, eel and 97 more`."""
    head = ", ".join(islice(names, shown))
    return f"{head} and {len(names) - shown} more" if len(names) > shown else head
