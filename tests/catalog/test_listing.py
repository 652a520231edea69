from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from psol_ray.catalog.headers import AWAY
from psol_ray.catalog.listing import LISTING, TEST, TRAIN, build_catalog, join_splits, split_table
from psol_ray.errors import UserError
from psol_ray.tables.schemas import CATALOG

from .trees import GT_BOXES, rows_of

ROOT = Path("/data")


def part(split: str, *images: tuple[str, str]) -> pa.Table:
    image_ids, class_names = (pa.array(column, pa.string()) for column in zip(*images, strict=True))
    return split_table(split, image_ids, class_names, pa.array([[] for _ in images], GT_BOXES))


TRAIN_PART = part(TRAIN, ("t3", "owl"), ("t2", "ant"), ("t1", "owl"))
TEST_PART = part(TEST, ("v1", "owl"), ("v2", "ant"))


def test_sorted_by_split_class_and_image_with_labels_of_sorted_training_classes() -> None:
    listing = join_splits(ROOT, TRAIN_PART, TEST_PART).images
    assert rows_of(listing) == [
        ("t2", "train", 0),
        ("t1", "train", 1),
        ("t3", "train", 1),
        ("v2", "test", 0),
        ("v1", "test", 1),
    ]
    assert listing.schema.equals(LISTING)
    assert listing["image_id"].num_chunks == 1


def test_without_a_test_split() -> None:
    assert set(join_splits(ROOT, TRAIN_PART, None).images["split"].to_pylist()) == {"train"}


def test_a_training_class_may_have_no_test_image() -> None:
    listing = join_splits(ROOT, TRAIN_PART, part(TEST, ("v1", "owl"))).images
    assert rows_of(listing)[-1] == ("v1", "test", 1)


def test_a_test_class_without_training_images_is_an_error() -> None:
    test = part(TEST, ("v1", "owl"), ("v2", "yak"), ("v3", "yak"), ("v4", "bee"))
    with pytest.raises(UserError, match=r"/data: found 3 test images of 2 classes .* \(bee, yak\)"):
        join_splits(ROOT, TRAIN_PART, test)


def test_build_catalog_keeps_order_and_has_the_schema() -> None:
    listing = join_splits(ROOT, TRAIN_PART, TEST_PART).images
    sizes_N2 = np.arange(10, dtype=np.int64).reshape(5, 2)
    catalog = build_catalog(listing, sizes_N2)
    assert catalog.schema.equals(CATALOG)
    assert catalog["image_id"].equals(listing["image_id"])
    assert catalog["width"].to_pylist() == [0, 2, 4, 6, 8]
    assert catalog["height"].to_pylist() == [1, 3, 5, 7, 9]


def test_an_image_that_is_away_has_no_size_in_a_catalog() -> None:
    catalog = build_catalog(join_splits(ROOT, TRAIN_PART, None).images, np.array([[5, 4], AWAY, [0, 0]]))
    assert catalog["width"].to_pylist() == [5, 0, 0]
    assert catalog["height"].to_pylist() == [4, 0, 0]


@pytest.mark.parametrize("shape", [(4, 2), (5, 3), (5,)])
def test_build_catalog_refuses_other_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="expected \\(5, 2\\)"):
        build_catalog(join_splits(ROOT, TRAIN_PART, TEST_PART).images, np.zeros(shape, np.int32))
