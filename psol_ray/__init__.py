"""Pseudo Supervised Object Localization (CVPR 2020) as a distributed system on Ray."""

__all__ = ["__version__"]

__version__ = "0.1.0"
