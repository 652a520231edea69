"""How replicas divide a cluster, and what is said where they do not start."""

import pytest

from psol_ray.distributed.photo_replicas import divide
from psol_ray.distributed.shares import Node
from psol_ray.errors import UserError


@pytest.mark.parametrize(
    ("nodes", "wanted", "number", "cpus", "gpus"),
    [
        pytest.param([Node("a", 2)], None, 1, 2, 0, id="a machine without a GPU"),
        pytest.param([Node("a", 2)], 2, 2, 1, 0, id="one a CPU"),
        pytest.param([Node("a", 8), Node("b", 4)], None, 2, 4, 0, id="two machines, by the smaller"),
        pytest.param([Node("a", 16, 1)], None, 1, 16, 1, id="a GPU"),
        pytest.param([Node("a", 16, 4), Node("b", 8)], None, 4, 4, 1, id="machines without GPUs are left out"),
        pytest.param([Node("a", 16, 1)], 3, 3, 5, 0.3333, id="three on a GPU"),
    ],
)
def test_replicas_have_equal_shares(nodes: list[Node], wanted: int | None, number: int, cpus: int, gpus: float) -> None:
    found, resources, kept = divide(nodes, wanted)
    assert found == number
    assert (resources.num_cpus, resources.gpu) == (cpus, 0 if gpus else None)
    assert kept == {"num_cpus": cpus, "num_gpus": gpus}
    assert sum(node.num_cpus for node in nodes) >= found * kept["num_cpus"]


def test_more_replicas_than_cpus_are_refused() -> None:
    with pytest.raises(UserError, match=r"serve\.replicas: found 3, and there are CPUs for 2, one for each"):
        divide([Node("a", 2)], 3)
