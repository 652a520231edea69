import pytest

from psol_ray.errors import abbreviate, without_secrets


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://KEY:SECRET@bucket/x", "s3://bucket/x"),
        ("s3://KEY:SE/CR+ET@bucket/x", "s3://bucket/x"),
        ("found 's3://KEY@bucket' (why)", "found 's3://bucket' (why)"),
        ("s3://b/x?endpoint_override=http://u:p@host:9&region=r", "s3://b/x?endpoint_override=http://host:9&region=r"),
        ("abfs://c@account/x?sas_token=abc&y=1", "abfs://account/x?y=1"),
        ("s3://bucket/a:b@c", "s3://bucket/a:b@c"),
        ("/home/ann@work/x", "/home/ann@work/x"),
        ("ann@example.org", "ann@example.org"),
    ],
)
def test_credentials_are_left_out(text: str, expected: str) -> None:
    assert without_secrets(text) == expected
