"""Fields by their paths, and types in words."""

import pytest

from psol_ray.cli.fields import describe_type, field_types, sections
from psol_ray.generators.registry import GENERATORS


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("seed", "a whole number, 0 or more"),
        ("run_dir", "a text"),
        ("localizer.ema_decay", "a number between 0 and 1 or null"),
        ("cluster.workers", "a whole number above 0 or null"),
        ("boxes.upsample", "one of bilinear, nearest"),
        ("boxes.method", "one of ddt, cam, grad_cam, localizer, imported"),
        ("boxes.class_maps.threshold", "a number from 0 to 1"),
        ("predict.classifiers", "a list of texts"),
        ("predict.class_view", "one of whole, center, ten or null"),
    ],
)
def test_describes_types_in_words(path: str, expected: str) -> None:
    assert describe_type(field_types()[path]) == expected


def test_every_type_has_words() -> None:
    assert [path for path, kind in field_types().items() if len(describe_type(kind)) < 6] == []


def test_sections_are_found_at_every_depth() -> None:
    assert {"data", "boxes", "joint"} < sections()
    assert {f"boxes.{entry.section}" for entry in GENERATORS.values() if entry.section} < sections()
    assert sections().isdisjoint({"", "run_dir", "boxes.method"})
