"""Boxes by the localizer of an earlier run, for the next one to learn from (a second round)."""
