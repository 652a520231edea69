"""Boxes and classes of images that no label says anything about."""
