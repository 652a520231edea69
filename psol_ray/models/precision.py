"""In which floating-point numbers a network runs."""

from typing import Literal

__all__ = ["Precision"]

Precision = Literal["auto", "float32", "bfloat16"]
"""`auto` is bfloat16 where the device has units for it; see `device.autocast`."""
