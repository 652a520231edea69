"""Names of the files that a training leaves in its stage, for those who read them without loading what writes them."""

__all__ = ["BEST_FILE", "HISTORY_FILE", "MODEL_FILE"]

MODEL_FILE = "model.safetensors"
"""The network of the last epoch."""
BEST_FILE = "best.safetensors"
"""The network of the epoch that scored best on the test images."""
HISTORY_FILE = "metrics.jsonl"
"""A line of metrics for each epoch."""
