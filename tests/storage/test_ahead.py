"""Images that are fetched ahead are those that are read, by few requests, and nobody waits for another."""

import threading
from contextlib import suppress
from pathlib import Path

import pytest
from s3 import Store

from psol_ray.storage import ahead
from psol_ray.storage.addresses import Address, Span
from psol_ray.storage.ahead import fetch_ahead, fetched, read_fetched


def images_of(store: Store, name: str, number: int = 20, gap: int = 100) -> tuple[list[Span], list[bytes]]:
    """Addresses and content of images in a shard, with something between them."""
    images = [f"{name} {i} ".encode() * 30 for i in range(number)]
    shard, spans = b"", []
    for image in images:
        spans.append(Span(store.uri("ahead"), name, len(shard), len(image)))
        shard += image + bytes(gap)
    store.put(f"ahead/{name}", shard)
    return spans, images


def gets(store: Store, name: str) -> int:
    return sum(line.startswith(f"GET /bucket/ahead/{name} ") for line in store.asked())


def test_neighbours_come_by_one_request(store: Store) -> None:
    spans, images = images_of(store, "near.tar")
    with fetched(spans):
        assert [read_fetched(span) for span in spans] == images
    assert gets(store, "near.tar") == 1


def test_what_is_far_apart_does_not(store: Store) -> None:
    spans, images = images_of(store, "far.tar", number=5, gap=1 << 17)
    with fetched(spans):
        assert [read_fetched(span) for span in spans] == images
    assert gets(store, "far.tar") == 5


def test_what_was_not_announced_is_read(store: Store) -> None:
    spans, images = images_of(store, "direct.tar", number=2)
    assert [read_fetched(span) for span in spans] == images


def test_an_image_is_kept_for_as_many_uses_as_were_announced(store: Store) -> None:
    spans, images = images_of(store, "twice.tar", number=3)
    with fetched(spans, uses=2):
        assert [read_fetched(span) for span in spans * 2] == images * 2
    assert gets(store, "twice.tar") == 1


def test_a_full_memory_blocks_nobody(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two readers, of whom one holds all that may be fetched and does not read on."""
    monkeypatch.setattr(ahead, "_MOST_BYTES", 1000)
    held, _ = images_of(store, "held.tar", number=30, gap=1 << 17)
    wanted, images = images_of(store, "wanted.tar", number=30, gap=1 << 17)
    with fetched(held):
        read_fetched(held[0])
        with fetched(wanted):
            assert [read_fetched(span) for span in wanted] == images
    assert ahead._ahead()._held == 0


def test_nothing_is_kept_of_a_reader_that_leaves(store: Store) -> None:
    spans, _ = images_of(store, "left.tar")
    with suppress(ZeroDivisionError), fetched(spans):
        read_fetched(spans[0])
        raise ZeroDivisionError
    assert ahead._ahead()._held == 0
    assert not set(spans) & (ahead._ahead()._begun.keys() | ahead._ahead()._waiting.keys())


def test_readers_in_many_threads_get_their_own(store: Store) -> None:
    shards = [images_of(store, f"thread{i}.tar", number=40) for i in range(6)]
    found: dict[int, list[bytes]] = {}

    def work(i: int) -> None:
        with fetched(shards[i][0]):
            found[i] = [read_fetched(span) for span in shards[i][0]]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(shards))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {i: images for i, (_, images) in enumerate(shards)}


def test_an_error_is_of_the_image_that_has_it(store: Store) -> None:
    spans, images = images_of(store, "short.tar", number=3)
    behind = Span(spans[0].root, "short.tar", spans[-1].offset + spans[-1].length + 100, 10)
    with fetched([*spans, behind]):
        assert [read_fetched(span) for span in spans] == images
        with pytest.raises(OSError, match="ends before it"):
            read_fetched(behind)


def test_items_come_in_order_while_the_next_are_fetched(store: Store) -> None:
    spans, images = images_of(store, "items.tar")
    batches: list[list[Address]] = [list(spans[i : i + 4]) for i in range(0, 20, 4)]
    read = []
    for batch, fetching in fetch_ahead(batches, lambda batch: batch, depth=2):
        with fetching:
            read += [read_fetched(span) for span in batch if isinstance(span, Span)]
    assert read == images
    assert ahead._ahead()._held == 0


def test_what_is_fetched_of_an_item_stays_until_its_own_reader_is_done(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans, images = images_of(store, "two_readers.tar", number=8)
    batches: list[list[Address]] = [list(spans[i : i + 2]) for i in range(0, 8, 2)]
    taken = list(fetch_ahead(batches, lambda batch: batch, depth=1))  # as many readers as items, none done
    monkeypatch.setattr(ahead, "read", lambda _address: pytest.fail("read by itself"))
    read = []
    for batch, fetching in taken:
        read += [read_fetched(span) for span in batch if isinstance(span, Span)]
        fetching.close()
    assert read == images
    assert ahead._ahead()._held == 0


def test_what_nobody_has_taken_is_dropped(store: Store) -> None:
    spans, _ = images_of(store, "left.tar")
    items = fetch_ahead([[span] for span in spans], lambda batch: batch, depth=4)
    _, fetching = next(items)
    items.close()
    fetching.close()
    assert not ahead._ahead()._waiting
    assert ahead._ahead()._held == 0


def test_files_of_this_machine_are_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "_ahead", lambda: pytest.fail("fetched"))
    with fetched([str(tmp_path / "a.jpg"), ""]):
        pass
