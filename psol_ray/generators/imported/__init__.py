"""Boxes that another project has drawn."""
