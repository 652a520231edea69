"""What people call the splits of a data set, as folders and in the names of shards, in lower case."""

__all__ = ["HELD_OUT", "TRAINING"]

TRAINING = ("train", "training")
HELD_OUT = (("val", "valid", "validation"), ("test", "testing"))
"""The first of these that is there is the test split. Where there is more, `test` is left for after all choices are
made: the run looks at the split it is given while it trains."""
