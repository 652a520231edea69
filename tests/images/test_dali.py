"""DALI against its oracle, on every kind of file; and what a bad one costs."""

import resource
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic.photographs import AWAY, BAD, KINDS, PHOTOGRAPHS, levels_apart, make_away, save_bad, save_kind
from synthetic.zoo import huge_png

from psol_ray.errors import ImagesAway
from psol_ray.images import dali, dali_pipeline
from psol_ray.images.dali import DaliDecoder, dali_available
from psol_ray.images.dali_pipeline import _build_pipeline
from psol_ray.images.decoder import make_decoder
from psol_ray.images.pillow import PillowDecoder

pytestmark = pytest.mark.skipif(not dali_available(), reason="DALI has no wheel for this machine")

SIZE = 64


@pytest.fixture(scope="module")
def decoder() -> DaliDecoder:
    return DaliDecoder(SIZE, 4)


@pytest.fixture(scope="module")
def region_decoder() -> DaliDecoder:
    return DaliDecoder(SIZE, 4, regions=True)


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one with each pipeline that is built."""
    built: list[int] = []

    def build(*settings: object) -> object:
        built.append(1)
        return _build_pipeline(*settings)  # type: ignore[arg-type]

    monkeypatch.setattr(dali_pipeline, "_build_pipeline", build)
    return built


def assert_agree(found: torch.Tensor, expected: torch.Tensor) -> None:
    """Within one level, but for the border, where the two filters differ: the more, the noisier the image."""
    assert found.shape == expected.shape
    apart = levels_apart(found.numpy(), expected.numpy())
    assert apart[:, 1:-1, 1:-1].max() <= 1
    assert apart.max() <= 40
    assert expected.numpy().std() > 10


@pytest.mark.parametrize("size", [32, 224, 448])
def test_photographs_at_every_size_agree_with_pillow(size: int) -> None:
    paths = [str(path) for path in PHOTOGRAPHS]
    found, expected = (decoder.decode(paths) for decoder in (DaliDecoder(size, 3), PillowDecoder(size)))
    assert found.ok_N.all()
    assert found.images_NHWC.dtype == torch.uint8
    assert_agree(found.images_NHWC, expected.images_NHWC)


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_agrees_with_pillow(name: str, decoder: DaliDecoder, tmp_path: Path) -> None:
    path = save_kind(name, tmp_path)
    found = decoder.decode([path])
    assert found.ok_N.all()
    assert_agree(found.images_NHWC, PillowDecoder(SIZE).decode([path]).images_NHWC)


def test_regions_and_flips_agree_with_pillow(region_decoder: DaliDecoder, tmp_path: Path) -> None:
    names = ["baseline.jpg", "plain.png", "turned_by_exif.jpg", "turned.tif"]
    paths = [save_kind(name, tmp_path) for name in names]
    regions = np.array([[0, 0, 330, 211], [13, 7, 213, 107], [200, 100, 330, 211], [5, 50, 101, 146]])
    flips = np.array([False, True, False, True])
    found, expected = (d.decode(paths, regions, flips) for d in (region_decoder, PillowDecoder(SIZE)))
    assert found.ok_N.all()
    assert_agree(found.images_NHWC, expected.images_NHWC)


@pytest.mark.parametrize("name", BAD)
def test_bad_file_costs_only_itself_and_the_next_batch_is_whole(
    name: str, decoder: DaliDecoder, tmp_path: Path
) -> None:
    good, other = save_kind("baseline.jpg", tmp_path), save_kind("plain.png", tmp_path)
    alone = decoder.decode([good, other]).images_NHWC
    mixed = decoder.decode([good, save_bad(name, tmp_path), other])
    assert mixed.ok_N.tolist() == [True, False, True]
    assert not mixed.images_NHWC[1].any()
    assert mixed.images_NHWC[[0, 2]].equal(alone)
    after = decoder.decode([good, other])
    assert after.ok_N.all()
    assert after.images_NHWC.equal(alone)


@pytest.mark.parametrize("outside", [(300, 0, 340, 50), (20, 20, 4000, 3000), (-1, 0, 9, 9), (9, 9, 9, 20)])
def test_region_outside_the_image_costs_only_its_image(
    outside: tuple[int, ...], region_decoder: DaliDecoder, tmp_path: Path
) -> None:
    path = save_kind("baseline.jpg", tmp_path)
    regions, flips = np.array([[10, 10, 90, 90], outside]), np.array([True, True])
    found = region_decoder.decode([path, path], regions, flips)
    assert found.ok_N.tolist() == [True, False]
    assert found.images_NHWC[:1].equal(region_decoder.decode([path], regions[:1], flips[:1]).images_NHWC)


def test_file_that_pillow_alone_reads_is_pillows_amid_dalis(decoder: DaliDecoder, tmp_path: Path) -> None:
    gif, jpeg = save_kind("pillow_only.gif", tmp_path), save_kind("baseline.jpg", tmp_path)
    found = decoder.decode([gif, jpeg, gif])
    assert found.ok_N.all()
    expected = PillowDecoder(SIZE).decode([gif]).images_NHWC[0]
    assert found.images_NHWC[0].equal(expected)
    assert found.images_NHWC[2].equal(expected)
    assert found.images_NHWC[1].equal(decoder.decode([jpeg]).images_NHWC[0])


def test_batch_outlives_the_next_one(decoder: DaliDecoder) -> None:
    first, second = (str(path) for path in PHOTOGRAPHS[:2])
    held = decoder.decode([first]).images_NHWC
    before = held.clone()
    decoder.decode([second])
    assert held.equal(before)


@pytest.mark.parametrize("name", BAD)
def test_bad_file_among_regions_costs_only_itself_beside_other_decoders(
    name: str, decoder: DaliDecoder, region_decoder: DaliDecoder, tmp_path: Path
) -> None:
    """DALI ends the process on some of them, where it has another pipeline."""
    good = save_kind("baseline.jpg", tmp_path)
    decoder.decode([good])
    regions = np.array([[10, 10, 90, 90]] * 3)
    found = region_decoder.decode([good, save_bad(name, tmp_path), good], regions)
    assert found.ok_N.tolist() == [True, False, True]
    assert decoder.decode([good]).ok_N.all()


def test_files_that_are_no_images_cost_no_pipeline(builds: list[int], tmp_path: Path) -> None:
    decoder = DaliDecoder(SIZE, 4)
    good, gif = save_kind("baseline.jpg", tmp_path), save_kind("pillow_only.gif", tmp_path)
    decoder.decode([good, good])
    for name in BAD:
        assert decoder.decode([good, save_bad(name, tmp_path), gif, good]).ok_N.tolist() == [True, False, True, True]
    assert len(builds) == 1


def test_a_broken_file_that_passes_for_a_jpeg_is_found_by_pillow(builds: list[int], tmp_path: Path) -> None:
    good, other, bad = save_kind("baseline.jpg", tmp_path), save_kind("grey.jpg", tmp_path), tmp_path / "bad.jpg"
    content = bytearray(Path(good).read_bytes())
    codes = content.index(b"\xff\xc4") + 5  # how many Huffman codes have one bit: more than there can be
    content[codes : codes + 16] = bytes([sum(content[codes : codes + 16]), *[0] * 15])
    bad.write_bytes(content)
    decoder = DaliDecoder(SIZE, 4)
    alone = decoder.decode([good, other]).images_NHWC
    found = decoder.decode([good, str(bad), other])
    assert found.ok_N.tolist() == [True, False, True]
    assert found.images_NHWC[[0, 2]].equal(alone)
    assert len(builds) == 2
    assert not decoder.decode([str(bad)]).ok_N.any()


def test_an_image_of_more_pixels_than_allowed_is_not_decoded(tmp_path: Path) -> None:
    jpeg, bmp = save_kind("baseline.jpg", tmp_path), save_kind("plain.bmp", tmp_path)  # 330 x 211
    for limit, ok in ((330 * 211, True), (330 * 211 - 1, False)):
        for decoder in (DaliDecoder(SIZE, 2, max_pixels=limit), PillowDecoder(SIZE, max_pixels=limit)):
            assert decoder.decode([jpeg, bmp]).ok_N.tolist() == [ok, ok]


def test_pixels_do_not_depend_on_how_many_fit_into_memory(tmp_path: Path) -> None:
    paths = [save_kind(name, tmp_path) for name in ("baseline.jpg", "grey.jpg", "progressive.jpg", "plain.png")]
    together, one_by_one = (DaliDecoder(SIZE, 4, max_pixels=330 * 211 * number) for number in (4, 1))
    found = one_by_one.decode(paths)
    assert found.ok_N.all()
    assert found.images_NHWC.equal(together.decode(paths).images_NHWC)


def test_a_huge_image_takes_no_memory(tmp_path: Path) -> None:
    (tmp_path / "huge.png").write_bytes(huge_png(14_000, 13_000))
    good = save_kind("baseline.jpg", tmp_path)
    decoder = DaliDecoder(SIZE, 2)
    decoder.decode([good])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert decoder.decode([good, str(tmp_path / "huge.png")]).ok_N.tolist() == [True, False]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # kB; 182 MB were it decoded


def test_all_files_of_a_batch_that_are_away_are_named(decoder: DaliDecoder, tmp_path: Path) -> None:
    good, gone = save_kind("baseline.jpg", tmp_path), [make_away(name, tmp_path) for name in AWAY]
    text = save_bad("text.jpg", tmp_path)
    for paths in ([gone[0]], [good, *gone[:2], text], [*gone[2:5], good], [gone[5], good, "", gone[6]]):
        with pytest.raises(ImagesAway, match="cannot be opened") as raised:
            decoder.decode(paths)
        assert list(raised.value.paths) == [path for path in paths if path in gone]
    assert decoder.decode([good, text]).ok_N.tolist() == [True, False]


def test_an_empty_path_is_not_opened(decoder: DaliDecoder, tmp_path: Path) -> None:
    good = save_kind("baseline.jpg", tmp_path)
    found = decoder.decode(["", good, ""])
    assert found.ok_N.tolist() == [False, True, False]
    assert found.images_NHWC[1].equal(decoder.decode([good]).images_NHWC[0])
    assert not decoder.decode([""]).ok_N.any()


def test_dali_that_cannot_start_does_not_pass_for_bad_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no driver")

    monkeypatch.setattr(dali_pipeline, "_build_pipeline", fail)
    with pytest.raises(RuntimeError, match="no driver"):
        DaliDecoder(SIZE, 4).decode([save_kind("baseline.jpg", tmp_path)])


def test_path_of_any_characters_is_read(decoder: DaliDecoder, tmp_path: Path) -> None:
    folder = tmp_path / "Größe 北 'x'"
    folder.mkdir()
    assert decoder.decode([save_kind("baseline.jpg", folder)]).ok_N.all()


def test_machine_with_dali_gets_dali_and_one_without_gets_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(make_decoder(SIZE, 4, num_threads=1, gpu=None), DaliDecoder)
    monkeypatch.setattr(dali, "dali_available", lambda: False)
    assert isinstance(make_decoder(SIZE, 4, num_threads=1, gpu=None), PillowDecoder)


class TestWhoReads:
    """One thread what is near, since each that takes the interpreter's lock takes it from the network's launches."""

    @pytest.fixture
    def readers(self, monkeypatch: pytest.MonkeyPatch) -> set[str]:
        names: set[str] = set()
        look = dali._look

        def noted(address: str) -> object:
            names.add(threading.current_thread().name)
            time.sleep(self.pause)
            return look(address)

        monkeypatch.setattr(dali, "_look", noted)
        return names

    pause = 0.0

    def test_files_that_are_near_are_read_by_the_caller(self, readers: set[str]) -> None:
        decoder = DaliDecoder(SIZE, 16, num_threads=4)
        assert decoder.decode([str(PHOTOGRAPHS[0])] * 16).ok_N.all()
        assert readers == {threading.current_thread().name}

    def test_files_that_are_far_away_by_all_threads(self, readers: set[str], monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(TestWhoReads, "pause", 0.01)
        decoder = DaliDecoder(SIZE, 16, num_threads=4)
        assert decoder.decode([str(PHOTOGRAPHS[0])] * 16).ok_N.all()
        assert len(readers) == 5

    def test_no_file_at_all(self) -> None:
        assert len(DaliDecoder(SIZE, 4).decode([]).ok_N) == 0
