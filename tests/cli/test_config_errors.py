"""Errors that no command line of the other tests makes."""

import pytest

from psol_ray.cli.config_errors import format_error
from psol_ray.cli.fields import field_types
from psol_ray.stages import COMMANDS


def format_text(text: str) -> str:
    return format_error(ValueError(text), COMMANDS["run"])


@pytest.mark.parametrize("path", sorted(field_types()))
def test_says_what_a_field_expects(path: str) -> None:
    words = format_text(f'Parser key "{path}": Not of type Whatever: -x- does not conform to restriction v>0')
    assert words.startswith(f"{path}: found -x-, expected ")
    assert len(words.split("expected ")[1]) > 3


def test_an_unforeseen_error_stays_on_one_line() -> None:
    assert format_text("something\n  went wrong\n") == "something went wrong"
    assert format_text('Parser key "seed":\n  went\nwrong') == "seed: went wrong"
