import pytest

from psol_ray.errors import abbreviate


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], ""),
        (["cat"], "cat"),
        (["cat", "dog", "eel"], "cat, dog, eel"),
        (["cat", "dog", "eel", "fox", "gnu"], "cat, dog, eel and 2 more"),
    ],
)
def test_names_the_first_and_counts_the_rest(names: list[str], expected: str) -> None:
    assert abbreviate(names) == expected
