"""Precision and memory of a worker, by what its device can do."""

import pytest
import torch

from psol_ray.config import Precision
from psol_ray.distributed.cluster import WorkerPlan
from psol_ray.models.device import autocast, feature_memory

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
    plan = WorkerPlan(1, 1, 0, 6e9)
    assert feature_memory(plan, None) == 3e9
    assert feature_memory(plan, 0.5) == 5e8


def test_on_a_gpu_its_own_memory_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (40e9, 80e9))
    assert feature_memory(WorkerPlan(1, 1, 1), None) == 20e9
