"""Maps of an image's heat to boxes: the largest component above a threshold, and its extent."""

from typing import Literal

__all__ = ["Upsample"]

Upsample = Literal["bilinear", "nearest"]
"""Whether a map is upsampled before it is thresholded (the paper), or its mask enlarged after (the authors' code)."""
