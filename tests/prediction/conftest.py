"""Networks are tiny here."""

from synthetic.fixtures import one_thread

__all__ = ["one_thread"]
