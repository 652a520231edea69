"""The commands: each reads the tables of a run directory, calls a stage, and writes its table."""
