"""Files of text that say other sizes than the images have."""

import re
from pathlib import Path

import numpy as np
import pytest

from psol_ray.catalog.layouts import list_data
from psol_ray.catalog.listing import Listing, build_catalog
from psol_ray.catalog.said_sizes import check_annotated_sizes
from psol_ray.catalog.source import look_at
from psol_ray.errors import UserError

from .trees import save, touch, voc_xml, write

Size = tuple[int, int]
SIZE: Size = (128, 96)


def annotated(root: Path, *said: Size) -> Listing:
    """ImageNet's tree, a test image for each size that its XML says, and one without XML."""
    touch(root, "train/n1/a.JPEG", *(f"val/n1/v{i:03}.JPEG" for i in range(len(said))), "val/n1/x.JPEG")
    for i, size in enumerate(said):
        write(root / f"bbox/val/v{i:03}.xml", voc_xml("n1", (1, 2, 3, 4), size=size))
    return list_data("imagenet", str(root))


def checked(listing: Listing, size: Size = SIZE) -> Listing:
    return check_annotated_sizes(build_catalog(listing.images, np.array([size] * len(listing.images))), listing)


def test_sizes_that_agree_or_are_not_said_or_not_known(tmp_path: Path) -> None:
    listing = annotated(tmp_path, SIZE, SIZE, (0, 0))
    assert listing.annotated_sizes is not None
    assert listing.annotated_sizes.to_pylist() == [
        {"image_id": f"val/n1/v00{i}.JPEG", "width": SIZE[0], "height": SIZE[1]} for i in range(2)
    ]
    assert checked(listing) is listing
    assert checked(listing, (0, 0)) is listing


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ((64, 48), "the images seem to have been resized"),
        ((63, 47), "the images seem to have been resized"),
        ((96, 128), "width and height are swapped, or the images were turned"),
        ((50, 96), "they seem to be of other images, or of images that were cropped or resized"),
    ],
)
def test_boxes_of_images_of_other_sizes_are_refused(tmp_path: Path, said: Size, cause: str) -> None:
    sizes = f"128 x 96 and not {said[0]} x {said[1]}"
    complaint = (
        f"bbox/val: found sizes that are not the images' for 3 (val/n1/v000.JPEG {sizes}, val/n1/v001.JPEG {sizes})"
        f" of 3, expected the sizes of these very images; {cause}: use the images that were annotated, or annotations"
    )
    with pytest.raises(UserError, match=re.escape(complaint)):
        checked(annotated(tmp_path, said, said, said))


def test_all_squashed_to_one_square_were_resized(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the images seem to have been resized"):
        checked(annotated(tmp_path, (500, 375), (375, 500), (640, 427)), (224, 224))


@pytest.mark.parametrize(("others", "total", "refused"), [(2, 40, False), (3, 40, True), (3, 300, False), (1, 1, True)])
def test_a_few_are_told_of_and_no_fault_of_the_others(tmp_path: Path, others: int, total: int, refused: bool) -> None:
    listing = annotated(tmp_path, *[(96, 128)] * others, *[SIZE] * (total - others))
    if refused:
        with pytest.raises(UserError, match=rf"for {others} \(.* of {total}, expected"):
            checked(listing)
    else:
        (remark,) = checked(listing).remarks
        assert re.match(rf"annotations: found sizes that are not the images' for {others} \(.*\) of {total}$", remark)


def wsol(root: Path, said: Size, number: int = 3) -> Listing:
    """wsolevaluation's metadata of images of `SIZE`, the first of which is away."""
    names = [f"cat/{i}.png" for i in range(number)]
    for name in names[1:]:
        save(root / name, SIZE)
    write(root / "train/image_ids.txt", "\n".join(names))
    write(root / "train/class_labels.txt", "\n".join(f"{name},0" for name in names))
    write(root / "train/image_sizes.txt", "\n".join(f"{name},{said[0]},{said[1]}" for name in names))
    return list_data("wsol", str(root))


def test_listed_sizes_are_compared_with_some_images_before_anything_else(tmp_path: Path) -> None:
    look_at(str(tmp_path), str(tmp_path), wsol(tmp_path, SIZE))
    sizes = "128 x 96 and not 96 x 128"
    complaint = (
        f"image_sizes.txt: found sizes that are not the images' for 2 (cat/1.png {sizes}, cat/2.png {sizes}) of 3 that"
        " were looked at, expected the sizes of these very images; width and height are swapped, or the images were"
        " turned: use the images that the metadata are of, or correct image_sizes.txt, and localization.txt where its"
    )
    with pytest.raises(UserError, match=re.escape(complaint)):
        look_at(str(tmp_path), str(tmp_path), wsol(tmp_path, (96, 128)))
    look_at(str(tmp_path / "away"), str(tmp_path), wsol(tmp_path, (96, 128)))
