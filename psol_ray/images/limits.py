"""How large an image may be. By itself, because settings are read without Pillow."""

__all__ = ["MAX_PIXELS"]

MAX_PIXELS = 178_956_970
"""Pillow's own limit against decompression bombs: 0.7 GB as Pillow stores RGB."""
