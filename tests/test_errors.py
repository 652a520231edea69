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
        ("abfs://c@account/x?sas_token=abc&y=1", "abfs://c@account/x?y=1"),
        ("abfs://:SEC/RET==@account/c/x", "abfs://account/c/x"),
        ("found 'abfss://c:SEC/RET==@account/x' (why)", "found 'abfss://c@account/x' (why)"),
        ("abfs://account/c/x?sv=1&sig=a%2Fb%3D&se=2", "abfs://account/c/x?sv=1&se=2"),
        ("abfs://account/c?client_secret=s&client_id=i", "abfs://account/c?client_id=i"),
        ("s3://b/x?access_key=a&secret_key=b&session_token=c&region=r", "s3://b/x?region=r"),
        ("s3://bucket/a:b@c", "s3://bucket/a:b@c"),
        ("/home/ann@work/x", "/home/ann@work/x"),
        ("ann@example.org", "ann@example.org"),
    ],
)
def test_credentials_are_left_out(text: str, expected: str) -> None:
    assert without_secrets(text) == expected
