"""Batches that are decoded ahead, and rows that have a size."""

import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic.photographs import save_bad, save_kind
from synthetic.tables import catalog_of, image

from psol_ray.errors import ImagesAway
from psol_ray.images import batches as module
from psol_ray.images.batch import DecodedBatch
from psol_ray.images.batches import Absences, decode_ahead, decode_what_is_here, has_size
from psol_ray.images.pillow import PillowDecoder


@pytest.mark.parametrize(
    ("number", "batch_size", "sizes"),
    [(0, 4, []), (1, 4, [1]), (4, 4, [4]), (9, 4, [4, 4, 1]), (3, 1, [1, 1, 1])],
)
def test_all_files_come_in_order_in_batches_of_which_the_last_may_be_smaller(
    number: int, batch_size: int, sizes: list[int]
) -> None:
    paths = [f"{i}.jpg" for i in range(number)]
    batches = list(decode_ahead(paths, list, batch_size))
    assert [len(decoded) for _, decoded in batches] == sizes
    assert [path for _, decoded in batches for path in decoded] == paths
    assert [paths[rows] for rows, _ in batches] == [decoded for _, decoded in batches]
    # Where a batch ends is known of the rows alone: the last one's stop is the number of images done.
    assert [rows.stop for rows, _ in batches] == [sum(sizes[: i + 1]) for i in range(len(sizes))]


def test_files_are_decoded_ahead_in_another_thread() -> None:
    decoded_by: list[threading.Thread] = []
    second = threading.Event()

    def decode(paths: Sequence[str]) -> Sequence[str]:
        decoded_by.append(threading.current_thread())
        if paths[0] == "b":
            second.set()
        return paths

    batches = decode_ahead(["a", "b", "c"], decode, 1)
    next(batches)
    assert second.wait(5)  # while this one is worked on
    assert [decoded for _, decoded in batches] == [["b"], ["c"]]
    assert threading.current_thread() not in decoded_by


def test_what_the_decoder_raises_is_raised_after_the_batches_before() -> None:
    def decode(paths: Sequence[str]) -> Sequence[str]:
        if "bad" in paths:
            raise OSError("no driver")
        return paths

    batches = decode_ahead(["a", "b", "bad"], decode, 2)
    assert next(batches) == (slice(0, 2), ["a", "b"])
    with pytest.raises(OSError, match="no driver"):
        next(batches)


def test_an_image_whose_header_could_not_be_read_has_no_size() -> None:
    catalog = catalog_of(image("a"), image("b", width=0, height=0), image("c"))
    assert has_size(catalog).tolist() == [True, False, True]
    assert has_size(catalog).dtype == bool
    assert has_size(catalog.slice(1, 1)).tolist() == [False]


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited for files that are away, by a clock of their own."""
    slept: list[float] = []
    monkeypatch.setattr(module.time, "sleep", slept.append)
    monkeypatch.setattr(module.time, "monotonic", lambda: sum(slept))
    return slept


@pytest.mark.usefixtures("pauses")
def test_the_files_that_are_here_are_decoded_and_the_others_named(tmp_path: Path) -> None:
    good, text = save_kind("plain.png", tmp_path), save_bad("text.jpg", tmp_path)
    gone = [str(tmp_path / "gone"), str(tmp_path / "gone too")]
    decoder, regions_N4 = PillowDecoder(8), np.array([[0, 0, 9, 9]] * 4)
    decoded, away = decode_what_is_here(decoder, [gone[0], good, text, gone[1]], Absences(), regions_N4)
    assert away == set(gone)
    assert decoded.ok_N.tolist() == [False, True, False, False]
    assert decoded.images_NHWC[1].equal(decoder.decode([good], regions_N4[:1]).images_NHWC[0])
    decoded, away = decode_what_is_here(decoder, [good], Absences())
    assert decoded.ok_N.all()
    assert not away


@pytest.mark.usefixtures("pauses")
def test_a_file_that_goes_while_others_are_decoded_is_away_too() -> None:
    class Vanishing:
        """One file fewer at each look."""

        def decode(self, paths: Sequence[str], *_: object) -> DecodedBatch:
            here = [path for path in paths if path]
            if len(here) > 1:
                raise ImagesAway([here[0]], "gone")
            return DecodedBatch(torch.zeros(len(paths), 1, 1, 3), np.array([bool(path) for path in paths]))

    decoded, away = decode_what_is_here(Vanishing(), ["a", "b", "c"], Absences())
    assert away == {"a", "b"}
    assert decoded.ok_N.tolist() == [False, False, True]


class Storage:
    """A decoder of files that are away until their second; `None` is for ever."""

    def __init__(self, clock: list[float], back_at: dict[str, float | None]) -> None:
        self.clock, self.back_at = clock, back_at

    def decode(self, paths: Sequence[str], *_: object) -> DecodedBatch:
        back_at = {path: self.back_at.get(path, 0.0) for path in paths if path}
        if away := [path for path, second in back_at.items() if second is None or second > sum(self.clock)]:
            raise ImagesAway(away, "No such file or directory")
        return DecodedBatch(torch.zeros(len(paths), 1, 1, 3), np.array([bool(path) for path in paths]))


def test_a_server_that_starts_anew_is_waited_for_each_time(pauses: list[float]) -> None:
    storage, absences = Storage(pauses, dict.fromkeys("ab", 20.0)), Absences()
    decoded, away = decode_what_is_here(storage, ["a", "b"], absences)
    assert decoded.ok_N.all()
    assert not away
    assert 20 <= sum(pauses) <= 30
    storage.back_at = {"c": 40.0}
    assert decode_what_is_here(storage, ["c"], absences)[1] == set()


def test_a_folder_that_is_away_is_believed_to_be_within_a_minute(pauses: list[float]) -> None:
    names = [f"{i}.jpg" for i in range(90)]
    storage, absences = Storage(pauses, dict.fromkeys(names)), Absences()
    for start in range(0, 90, 10):
        assert len(decode_what_is_here(storage, names[start : start + 10], absences)[1]) == 10
    assert sum(pauses) == 30
    assert absences.known == set(names)


def test_a_file_that_is_gone_is_not_waited_for_again_and_does_not_keep_others_from_being(pauses: list[float]) -> None:
    storage, absences = Storage(pauses, {"gone": None}), Absences()
    assert decode_what_is_here(storage, ["gone"], absences)[1] == {"gone"}
    pauses.append(7200.0)
    assert decode_what_is_here(storage, ["gone", "a"], absences)[1] == {"gone"}
    assert sum(pauses) == 7230
    storage.back_at["a"] = sum(pauses) + 20
    assert decode_what_is_here(storage, ["gone", "a"], absences)[1] == {"gone"}
    assert sum(pauses) > 7250
    storage.back_at["gone"] = 0.0
    assert decode_what_is_here(storage, ["gone"], absences)[1] == set()
    assert absences.known == set()


def test_what_comes_of_waiting_holds_for_the_other_threads(
    pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a second one would take its images for gone while the first still waits for a server that comes back."""
    storage, absences = Storage(pauses, dict.fromkeys("ab", 5.0)), Absences()
    looked, found = threading.Event(), []

    class Other:
        def decode(self, *batch: object) -> DecodedBatch:
            looked.set()
            return storage.decode(*batch)

    other = threading.Thread(target=lambda: found.append(decode_what_is_here(Other(), ["b"], absences)[1]))

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:  # one pause was in vain
            other.start()
            looked.wait(5)
            threading.Event().wait(0.05)

    monkeypatch.setattr(module.time, "sleep", sleep)
    assert decode_what_is_here(storage, ["a"], absences)[1] == set()
    other.join()
    assert found == [set()]
    assert pauses == [1, 2, 4]


def test_who_finds_all_files_does_not_wait_for_a_thread_that_does_not(
    pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, absences = Storage(pauses, {"gone": None}), Absences()

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        other = threading.Thread(target=decode_what_is_here, args=(storage, ["here"], absences), daemon=True)
        other.start()
        other.join(5)
        assert not other.is_alive()

    monkeypatch.setattr(module.time, "sleep", sleep)
    assert decode_what_is_here(storage, ["gone"], absences)[1] == {"gone"}
    assert absences.known == {"gone"}


def test_no_thread_forgets_what_another_has_noted() -> None:
    absences = Absences()
    # Python hands over between threads every few milliseconds, often in the middle of this if it could.
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        names = [[f"{i} {j}" for j in range(500)] for i in range(4)]
        threads = [
            threading.Thread(target=lambda mine=mine: [absences.note([name], {name}) for name in mine])
            for mine in names
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert absences.known == {name for mine in names for name in mine}
