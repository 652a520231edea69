"""What makes tests fast: no DALI where a test is of something else, and no threads for networks that are too small."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from psol_ray.images import dali

__all__ = ["one_thread", "pillow_alone"]


@contextmanager
def pillow_alone() -> Iterator[None]:
    """`make_decoder` makes Pillow's, as on a machine without DALI, which takes a second to start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dali, "dali_available", lambda: False)
        yield


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """One for PyTorch; for all tests of a folder whose conftest imports this, or of a module that does."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
