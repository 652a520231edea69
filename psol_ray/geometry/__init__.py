"""Boxes and crops. Coordinates are continuous and half-open: a whole image is (0, 0, width, height)."""
