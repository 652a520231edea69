"""Every field can be described to a user who got it wrong."""

import pytest

from psol_ray.cli.config_errors import field_types, one_sentence


@pytest.mark.parametrize("path", sorted(field_types()))
def test_says_what_a_field_expects(path: str) -> None:
    told = one_sentence(f'Parser key "{path}": Not of type Whatever: -x- does not conform to restriction v>0')
    assert told.startswith(f"{path}: found -x-, expected ")
    assert len(told.split("expected ")[1]) > 3


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("seed", "a whole number, 0 or more"),
        ("localizer.ema_decay", "a number between 0 and 1 or null"),
        ("cluster.workers", "a whole number above 0 or null"),
        ("boxes.upsample", "one of bilinear, nearest"),
    ],
)
def test_describes_types_in_words(path: str, expected: str) -> None:
    assert one_sentence(f'Parser key "{path}":\n  Expected a T. Got value: 1.5') == (
        f"{path}: found 1.5, expected {expected}"
    )


def test_an_unforeseen_complaint_stays_on_one_line() -> None:
    assert one_sentence("something\n  went wrong\n") == "something went wrong"
