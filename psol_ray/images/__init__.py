"""Pixels from files: DALI everywhere, Pillow as its oracle and stand-in."""
