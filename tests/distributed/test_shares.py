"""What a worker gets of its node."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psol_ray.distributed.shares import Node, Share, divide_cpus, divide_gpus
from psol_ray.work.jobs import Resources


@pytest.mark.parametrize(
    ("nodes", "workers_and_cpus"),
    [
        pytest.param([(16, 4)], [(4, 4)], id="a machine of four GPUs"),
        pytest.param([(64, 4), (32, 8)], [(4, 16), (8, 4)], id="each machine has its own share"),
        pytest.param([(4, 0), (16, 2)], [(2, 8)], id="a machine without a GPU has no worker"),
        pytest.param([(2, 8)], [(2, 1)], id="more GPUs than CPUs"),
        pytest.param([(7, 2)], [(2, 3)], id="a CPU is left over"),
    ],
)
def test_a_gpu_has_a_worker_with_its_part_of_the_node(
    nodes: list[tuple[int, int]], workers_and_cpus: list[tuple[int, int]]
) -> None:
    shares = divide_gpus([Node(str(i), cpus, gpus) for i, (cpus, gpus) in enumerate(nodes)])
    assert [(share.num_workers, share.resources.num_cpus) for share in shares] == workers_and_cpus
    assert {share.resources.gpu for share in shares} == {0}


@pytest.mark.parametrize(
    ("nodes", "num_workers", "workers_and_cpus"),
    [
        pytest.param([8], 1, [(1, 8)], id="a laptop"),
        pytest.param([8], 3, [(3, 2)], id="a laptop divided"),
        pytest.param([8, 4], 2, [(1, 8), (1, 4)], id="each machine whole"),
        pytest.param([8, 4], 3, [(2, 4), (1, 4)], id="three workers on two machines"),
        pytest.param([8, 2], 3, [(2, 4), (1, 2)], id="the smallest share is as large as it can be"),
        pytest.param([8, 4], 1, [(1, 8)], id="the larger machine"),
        pytest.param([1, 1], 5, [(1, 1), (1, 1)], id="not more than there are CPUs"),
        pytest.param([], 2, [], id="nothing at all"),
    ],
)
def test_workers_share_their_own_nodes_cpus(
    nodes: list[int], num_workers: int, workers_and_cpus: list[tuple[int, int]]
) -> None:
    shares = divide_cpus([Node(str(i), cpus) for i, cpus in enumerate(nodes)], num_workers)
    assert [(share.num_workers, share.resources.num_cpus) for share in shares] == workers_and_cpus


def test_a_worker_has_its_part_of_its_own_nodes_memory() -> None:
    nodes = [Node("rich", 4, memory=9e9), Node("poor", 4, memory=2e9)]
    assert divide_cpus(nodes, 3) == (
        Share("rich", 2, Resources(2, None, 4.5e9)),
        Share("poor", 1, Resources(4, None, 2e9)),
    )
    assert divide_gpus([Node("node", 4, 2, 6e9)]) == (Share("node", 2, Resources(2, 0, 3e9)),)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=5), st.integers(1, 20))
def test_no_other_division_has_a_larger_smallest_share(cpus: list[int], num_workers: int) -> None:
    shares = divide_cpus([Node(str(i), count) for i, count in enumerate(cpus)], num_workers)
    assert sum(share.num_workers for share in shares) == min(num_workers, sum(cpus))
    smallest = min(share.resources.num_cpus for share in shares)
    # With one CPU more for each, the machines would not hold them all.
    assert sum(count // (smallest + 1) for count in cpus) < sum(share.num_workers for share in shares)
