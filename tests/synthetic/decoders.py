"""Decoding without DALI, which takes a second to start, where a test is of something else."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from psol_ray.images import dali

__all__ = ["pillow_alone"]


@contextmanager
def pillow_alone() -> Iterator[None]:
    """`make_decoder` makes Pillow's, as on a machine without DALI."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dali, "dali_available", lambda: False)
        yield
