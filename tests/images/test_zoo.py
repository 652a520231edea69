"""Every decoder, in every batch, and the page: the same answer, and Pillow's pixels, for the oddest files."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from synthetic import zoo
from synthetic.photographs import levels_apart

from psol_ray.catalog.headers import read_sizes
from psol_ray.images.batch import DecodedBatch, Decoder
from psol_ray.images.dali import DaliDecoder, dali_available
from psol_ray.images.pillow import PillowDecoder
from psol_ray.report.thumbnails import make_thumbnail

SIDE = 40
ALL = {**zoo.COLOUR, **zoo.GREY, **zoo.NO_IMAGES}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All files of the zoo."""
    folder = tmp_path_factory.mktemp("zoo")
    for name, make in ALL.items():
        (folder / name).write_bytes(make())
    return folder


@pytest.fixture(scope="module")
def by_pillow(folder: Path) -> Mapping[str, DecodedBatch]:
    decoder = PillowDecoder(SIDE)
    return {name: decoder.decode([str(folder / name)]) for name in ALL}


@pytest.mark.parametrize("name", [*zoo.COLOUR, *zoo.GREY])
def test_pillow_shows_the_picture(name: str, by_pillow: Mapping[str, DecodedBatch]) -> None:
    found = by_pillow[name]
    assert found.ok_N.all()
    image = zoo.picture() if name in zoo.COLOUR else zoo.picture().convert("L").convert("RGB")
    # Palettes and compression are some levels off; colours that are inverted, clipped or scaled wrongly, a hundred.
    assert levels_apart(found.images_NHWC[0].numpy(), np.asarray(image.resize((SIDE, SIDE)))).mean() < 20


@pytest.mark.parametrize("name", zoo.NO_IMAGES)
def test_what_is_no_image_is_not_ok(name: str, by_pillow: Mapping[str, DecodedBatch]) -> None:
    assert not by_pillow[name].ok_N.any()
    assert not by_pillow[name].images_NHWC.any()


def assert_same(found: DecodedBatch, row: int, expected: DecodedBatch, *, exact: bool = False) -> None:
    assert found.ok_N[row] == expected.ok_N[0]
    apart = levels_apart(found.images_NHWC[row].numpy(), expected.images_NHWC[0].numpy())
    # DALI's filter is another at the border, and rounds.
    assert apart.max() == 0 if exact else apart[1:-1, 1:-1].max() <= 1


@pytest.mark.skipif(not dali_available(), reason="DALI has no wheel for this machine")
def test_dali_agrees_with_pillow_alone_and_in_any_batch(folder: Path, by_pillow: Mapping[str, DecodedBatch]) -> None:
    decoder = DaliDecoder(SIDE, 8, num_threads=2)
    alone = {name: decoder.decode([str(folder / name)]) for name in ALL}
    for name, found in alone.items():
        assert_same(found, 0, by_pillow[name])
    names = np.array(list(ALL))
    np.random.default_rng(0).shuffle(names)
    for start in range(0, len(names), 8):
        batch = names[start : start + 8]
        found = decoder.decode([str(folder / name) for name in batch])
        for row, name in enumerate(batch):
            assert_same(found, row, alone[name], exact=True)


@pytest.mark.parametrize("make", ["dali", "pillow"])
def test_regions_are_of_stored_pixels_and_never_outside(
    make: str, folder: Path, by_pillow: Mapping[str, DecodedBatch]
) -> None:
    if make == "dali" and not dali_available():
        pytest.skip("DALI has no wheel for this machine")
    decoder: Decoder = DaliDecoder(SIDE, 1, regions=True) if make == "dali" else PillowDecoder(SIDE)
    for name in ALL:
        path = [str(folder / name)]
        width, height = (33, 21) if name in ("arithmetic.jpg", "lossless.jpg") else zoo.SIZE
        whole = decoder.decode(path, np.array([[0, 0, width, height]]))
        assert_same(whole, 0, by_pillow[name])
        assert not decoder.decode(path, np.array([[0, 0, width + 1, height]])).ok_N.any()
        assert not decoder.decode(path, np.array([[5, 5, 400, 300]])).ok_N.any()
        assert not decoder.decode(path, np.array([[-1, 0, 5, 5]])).ok_N.any()


def test_the_page_shows_the_same_pixels(folder: Path, by_pillow: Mapping[str, DecodedBatch]) -> None:
    for name in ALL:
        thumbnail = make_thumbnail(str(folder / name), *zoo.SIZE)
        assert (thumbnail.uri is not None) == by_pillow[name].ok_N[0], name


def test_catalog_has_sizes_of_all_images_and_of_no_other_format(folder: Path) -> None:
    sizes_N2 = dict(zip(ALL, read_sizes(str(folder), list(ALL)).tolist(), strict=True))
    small = {"arithmetic.jpg": [33, 21], "lossless.jpg": [33, 21]}
    for name in (*zoo.COLOUR, *zoo.GREY):
        assert sizes_N2[name] == small.get(name, list(zoo.SIZE)), name
    # Headers of files that are cut short later are whole.
    for name in zoo.NO_IMAGES:
        assert sizes_N2[name] in ([0, 0], list(zoo.SIZE)), name
    assert sizes_N2["huge.png"] == sizes_N2["huge.jpg"] == [0, 0]
