"""Pseudo boxes from a classifier's class activation maps, to compare with DDT's."""
