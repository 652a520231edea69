import pytest

from psol_ray.catalog.wording import few


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
    assert few(names) == expected
