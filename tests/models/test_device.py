"""Precision and memory of a worker, by what its device can do."""

import pytest
import torch

from psol_ray.models.device import autocast, feature_memory, worker_device
from psol_ray.models.precision import Precision
from psol_ray.work.jobs import Resources

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("units", "precision", "training", "expected"),
    [
        ({"avx512_bf16": True}, "auto", False, torch.bfloat16),
        ({"amx_bf16": True}, "auto", False, torch.bfloat16),
        ({"avx512_bf16": True}, "auto", True, torch.float32),
        ({}, "auto", False, torch.float32),
        ({}, "bfloat16", False, torch.bfloat16),
        ({"avx512_bf16": True}, "float32", False, torch.float32),
    ],
)
def test_half_precision_where_a_cpu_has_units_for_it(
    units: dict[str, bool],
    precision: Precision,
    training: bool,
    expected: torch.dtype,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: units)
    with autocast(CPU, precision, training=training):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == expected


def test_features_may_take_half_of_what_is_free_unless_told() -> None:
    resources = Resources(1, memory=6e9)
    assert feature_memory(resources, None) == 3e9
    assert feature_memory(resources, 0.5) == 5e8


def test_on_a_gpu_its_own_memory_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    free = {0: (10e9, 80e9), 1: (40e9, 80e9)}
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda gpu: free[gpu])
    assert feature_memory(Resources(1, gpu=1, memory=6e9), None) == 20e9
    assert feature_memory(Resources(1, gpu=1), 0.5) == 5e8


def test_a_worker_s_device_is_the_gpu_it_was_given_or_its_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    assert worker_device(Resources(3)) == CPU
    assert worker_device(Resources(2, gpu=1)) == torch.device("cuda:1")
    assert threads == [3, 2]


def test_float32_is_no_tf32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "set_num_threads", lambda _: None)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    worker_device(Resources(1))
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32
