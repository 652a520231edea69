"""The same images and boxes, however they are written down, make the same catalog."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from synthetic.images import write_images

from psol_ray.catalog.layouts import recognise_layout
from psol_ray.catalog.passed_over import describe
from psol_ray.catalog.source import look_at

from .annotated import (
    Sample,
    catalog_of,
    facts,
    samples_of,
    write_coco,
    write_list,
    write_voc,
    write_yolo,
)

WRITERS = [
    pytest.param("coco", write_coco, id="coco"),
    pytest.param("coco", partial(write_coco, roboflow=True), id="coco of Roboflow"),
    pytest.param("yolo", write_yolo, id="yolo"),
    pytest.param("yolo", partial(write_yolo, roboflow=True), id="yolo of Roboflow"),
    pytest.param("voc", write_voc, id="voc"),
    pytest.param("voc", partial(write_voc, roboflow=True), id="voc of Roboflow"),
    pytest.param("list", write_list, id="list"),
]


def expected_of(samples: list[Sample]) -> dict[str, tuple[str, str, list[list[float]]]]:
    return {
        each.name: (
            each.class_name,
            "train" if each.split == "train" else "test",
            [[round(number, 2) for number in box] for box in each.boxes],
        )
        for each in samples
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    return samples_of("folder", write_images(tmp_path_factory.mktemp("made"), ["cat", "dog"], train=8, val=3))


@pytest.mark.parametrize(("layout", "write"), WRITERS)
def test_each_form_is_recognised_and_gives_the_same_catalog(
    tmp_path: Path, made: list[Sample], layout: str, write: Callable[[Path, list[Sample]], Path]
) -> None:
    root = write(tmp_path, made)
    assert recognise_layout(str(root))[0] == layout
    catalog, listing, gaps = catalog_of(layout, root)
    assert facts(catalog) == expected_of(made)
    assert not gaps
    assert not listing.remarks
    source = look_at(str(root), str(root), listing)
    assert source.annotations
    assert all(source.annotations.values())


@pytest.mark.parametrize(("layout", "write"), WRITERS)
def test_cubs_images_with_cubs_boxes(
    shared: Path, tmp_path: Path, layout: str, write: Callable[[Path, list[Sample]], Path]
) -> None:
    samples = samples_of("cub", shared / "data/CUB_200_2011")
    root = write(tmp_path, samples)
    assert recognise_layout(str(root))[0] == layout
    catalog, _, gaps = catalog_of(layout, root)
    expected, found = expected_of(samples), facts(catalog)
    assert len(found) == len(samples) == 543
    assert {name: what[:2] for name, what in found.items()} == {name: what[:2] for name, what in expected.items()}
    for name, (_, _, boxes) in found.items():
        assert boxes == [pytest.approx(box, abs=0.02) for box in expected[name][2]]
    assert not gaps


@pytest.mark.parametrize(("layout", "write"), WRITERS[:6])
def test_hidden_files_other_suffixes_links_and_upper_case_are_alike(
    tmp_path: Path, made: list[Sample], layout: str, write: Callable[[Path, list[Sample]], Path]
) -> None:
    """As in class folders: what is passed over is counted, a link is followed, a suffix may be in capitals."""
    root = write(tmp_path / "data", made)
    first = next(path for path in sorted(root.rglob("*.jpg")) if "train" in str(path) or layout == "voc")
    folder = first.parent
    moved = tmp_path / "elsewhere.jpg"
    first.rename(moved)
    first.symlink_to(moved)
    (folder / ".hidden.jpg").touch()
    (folder / "Thumbs.db").touch()
    (folder / "notes.doc").touch()
    (folder / "nobody.JPG").write_bytes(moved.read_bytes())
    catalog, listing, gaps = catalog_of(layout, root)
    assert facts(catalog) == expected_of(made)
    assert not gaps
    over = describe(listing.passed_over)
    assert "1 with other suffixes (.doc)" in over
    assert "1 hidden" in over
    assert "1 left behind by other programs (Thumbs.db)" in over
    # VOC's sets name the images that are read.
    assert (
        "1 images of a split that is not read" if "ImageSets" in str(list(root.iterdir())) else "1 without a label"
    ) in over
