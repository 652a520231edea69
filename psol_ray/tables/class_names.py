"""Names of a catalog's classes."""

import numpy as np
import pyarrow as pa

__all__ = ["class_names"]


def class_names(catalog: pa.Table) -> list[str]:
    """In the order of labels, with a name for numbers that no image has.

    Args:
        catalog: catalog rows with `label` and `class_name` at least.
    """
    encoded = catalog["class_name"].combine_chunks().dictionary_encode()
    found = encoded.dictionary.to_pylist()
    # By DLPack, because pyarrow imports pandas for `to_numpy`, `group_by` and `take`, which takes a second.
    labels_K, rows_K = np.unique(np.from_dlpack(catalog["label"].combine_chunks()), return_index=True)
    numbers_K = np.from_dlpack(encoded.indices)[rows_K]
    names = {label: found[number] for label, number in zip(labels_K.tolist(), numbers_K.tolist(), strict=True)}
    return [names.get(label, f"label {label}") for label in range(max(names, default=-1) + 1)]
