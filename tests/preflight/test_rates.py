"""What devices are taken to reach, by their names."""

import pytest

from psol_ray.preflight.rates import EFFICIENCY, images_per_second, tflops_of


@pytest.mark.parametrize(
    ("name", "tflops"),
    [("NVIDIA H100 80GB HBM3", 989), ("NVIDIA A100-SXM4-40GB", 312), ("L4", 121), ("L40S", 362), ("Tesla T4", None)],
)
def test_by_the_names_of_drivers_and_of_ray(name: str, tflops: float | None) -> None:
    assert tflops_of(name) == tflops


def test_a_machine_has_the_sum_of_its_gpus() -> None:
    assert images_per_second(1e9, ["L4", "L4"]) == pytest.approx(2 * EFFICIENCY * 121e12 / 1e9)
    assert images_per_second(1e9, ["L4", "unheard of"]) is None
    assert images_per_second(None, ["L4"]) is None
    assert images_per_second(1e12, [], 4) == pytest.approx(4 * 0.4)
