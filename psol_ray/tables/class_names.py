"""Names of a catalog's classes."""

import pyarrow as pa

__all__ = ["class_names"]


def class_names(catalog: pa.Table) -> list[str]:
    """In the order of labels, with a name for numbers that no image has.

    Args:
        catalog: catalog rows with `label` and `class_name` at least.
    """
    pairs = catalog.group_by(["label", "class_name"]).aggregate([])
    names = dict(zip(pairs["label"].to_pylist(), pairs["class_name"].to_pylist(), strict=True))
    return [names.get(label, f"label {label}") for label in range(max(names, default=-1) + 1)]
