"""What the workers of a cluster work on, by the names that Ray has for GPUs."""

import ray

__all__ = ["accelerator"]

_RESOURCE = "accelerator_type:"


def accelerator() -> str:
    """The kind of GPU that most nodes have, `H100` say; `GPU` where Ray does not know."""
    counts: dict[str, float] = {}
    for node in ray.nodes():
        lends = node["Resources"] if node["Alive"] else {}
        for name in lends:
            if name.startswith(_RESOURCE) and lends.get("GPU"):
                kind = name.removeprefix(_RESOURCE)
                counts[kind] = counts.get(kind, 0) + lends["GPU"]
    return max(counts, key=lambda kind: counts[kind]) if counts else "GPU"
