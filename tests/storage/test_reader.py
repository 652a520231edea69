"""What is read is what is there, and errors have a number that tells them from an image's."""

import errno
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from s3 import Store

from psol_ray.storage.addresses import Cell, Span
from psol_ray.storage.reader import open_span, probe, read, read_together
from psol_ray.tables import patience

DATA = bytes(range(256)) * 40


@pytest.fixture(params=["local", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path, store: Store) -> str:
    """A folder with the file `a.bin`, on a disk or in a store."""
    if request.param == "local":
        (tmp_path / "a.bin").write_bytes(DATA)
        return str(tmp_path)
    store.put("reader/a.bin", DATA)
    return store.uri("reader")


def test_a_file_and_parts_of_it(root: str) -> None:
    assert read(Span(root, "a.bin")) == DATA
    assert read(Span(root, "a.bin", 100, 50)) == DATA[100:150]
    spans = [Span(root, "a.bin", 10, 5), Span(root, "a.bin", 20, 0), Span(root, "a.bin", 300, 7)]
    assert read_together(spans) == [DATA[10:15], b"", DATA[300:307]]


def test_the_beginning_is_read_by_whoever_parses_it(root: str) -> None:
    with open_span(Span(root, "a.bin", 256, 1000)) as file:
        assert file.read(3) == DATA[:3]
        file.seek(-2, io.SEEK_END)
        assert file.read() == DATA[1254:1256]
    probe(Span(root, "a.bin", 0, 10))


@pytest.mark.parametrize("reader", [read, probe])
def test_what_is_not_there_has_the_number_of_that(root: str, reader: object) -> None:
    with pytest.raises(FileNotFoundError) as raised:
        reader(Span(root, "gone.bin"))  # type: ignore[operator]
    assert raised.value.errno == errno.ENOENT


def test_a_shard_that_ends_too_early_is_no_fault_of_the_image(root: str) -> None:
    cut = Span(root, "a.bin", len(DATA) - 10, 20)
    whole = Span(root, "a.bin", len(DATA) - 20, 10)
    outcomes = read_together([whole, cut])
    assert outcomes[0] == DATA[-20:-10]
    assert isinstance(outcomes[1], OSError)
    assert outcomes[1].errno == errno.EIO
    assert "ends before it" in str(outcomes[1])
    for behind in (cut, Span(root, "a.bin", len(DATA) + 1, 5)):
        for reader in (read, _read_all):
            with pytest.raises(OSError, match="ends before it"):
                reader(behind)


def _read_all(span: Span) -> bytes:
    with open_span(span) as file:
        return file.read()


@pytest.mark.parametrize("is_struct", [True, False])
def test_cells_of_parquet_by_their_row(root: str, is_struct: bool, store: Store, tmp_path: Path) -> None:
    name = f"{is_struct}.parquet"
    images = [f"image {i}".encode() * 50 for i in range(10)]
    column = [{"bytes": image, "path": f"{i}.jpg"} for i, image in enumerate(images)] if is_struct else images
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"image": column, "label": range(10)}), sink, row_group_size=4)
    if root == str(tmp_path):
        (tmp_path / name).write_bytes(sink.getvalue())
    else:
        store.put(f"reader/{name}", sink.getvalue().to_pybytes())
    assert read(Cell(root, name, 5)) == images[5]
    assert read_together([Cell(root, name, row) for row in (9, 0, 3, 4)]) == [images[i] for i in (9, 0, 3, 4)]
    with pytest.raises(OSError, match="only 10 rows"):
        read(Cell(root, name, 10))


def test_a_store_that_fails_now_and_then_is_asked_again(store: Store) -> None:
    store.put("reader/b.bin", DATA)
    # Arrow itself asks thirty times, in six seconds.
    store.failing.write_text(json.dumps({"row": 34}))
    assert read(Span(store.uri("reader"), "b.bin", 5, 5000)) == DATA[5:5005]


def test_a_store_that_does_not_answer_is_given_up_with_a_number(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store.put("reader/c.bin", DATA)
    monkeypatch.setattr(patience, "_PATIENCE_SECONDS", 0.1)
    store.failing.touch()
    with pytest.raises(OSError, match=r"SLOW_DOWN|SlowDown|503") as raised:
        read(Span(store.uri("reader"), "c.bin"))
    assert raised.value.errno == errno.EIO
    assert "secret" not in str(raised.value)
    assert "secret" not in capsys.readouterr().err
