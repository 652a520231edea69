"""What a run came to: a page for people who would rather look, tables for the terminal, and the paper's beside ours.

Reads tables, scores and curves; computes no score itself.
"""
