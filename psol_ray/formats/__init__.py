"""Boxes in the formats of other projects, each read and written in one file. Needs NumPy, Arrow and OpenCV only."""
