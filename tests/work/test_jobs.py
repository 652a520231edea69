"""What a job is to those who hand it out."""

import pyarrow as pa
import pytest

from psol_ray.work.jobs import Job, Parts


def job(name: str, num_images: int = 1, **more: object) -> Job:
    return Job(name, pa.table({"image_id": [""] * num_images}), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("candidate", "alone"),
    [
        (job("plain"), True),
        (job("piece", part="whole", method="measure", arguments=(1,)), True),
        (job("first", then=lambda _: []), False),
        (job("second", follows=job("first")), False),
    ],
)
def test_only_a_job_of_which_nothing_comes_but_a_part_may_be_done_twice(candidate: Job, alone: bool) -> None:
    assert candidate.is_independent is alone


@pytest.mark.parametrize("num_images", [0, 1, 7])
def test_a_job_costs_its_images(num_images: int) -> None:
    assert job("a", num_images).cost == num_images


def test_jobs_are_told_apart_even_if_they_are_of_the_same_images() -> None:
    """They are keys of what is known of them, and tables cannot be hashed."""
    one, other = job("a"), job("a")
    assert one != other
    assert {one: 1, other: 2}[one] == 1


def test_parts_are_told_from_what_is_for_the_driver() -> None:
    assert Parts(boxes=pa.table({})) == {"boxes": pa.table({})}
    assert not isinstance({"boxes": pa.table({})}, Parts)
