"""What annotations say of ImageNet's validation images: their classes, boxes and sizes."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from psol_ray.catalog.annotations import Annotations, box_lists, read_solution_csv
from psol_ray.catalog.imagenet_tree import ImageNetTree
from psol_ray.catalog.listing import SIDES
from psol_ray.catalog.unicode_forms import composed
from psol_ray.catalog.voc_xml import read_voc_xml
from psol_ray.errors import UserError, abbreviate
from psol_ray.storage.tree import DataPath

__all__ = ["Truth", "only_agreeing", "only_labelled", "read_truth"]


@dataclass(frozen=True)
class Truth:
    """What annotations say of each validation image."""

    source: DataPath | None
    stems: pa.Array
    class_names: pa.Array  # null where there is no annotation
    gt_boxes: pa.Array
    image_sizes: Mapping[str, tuple[int, int]]  # by stem

    def sizes_of(self, image_ids: pa.Array) -> pa.Table | None:
        """`Listing.annotated_sizes` of images that are in the order of the stems."""
        if not self.image_sizes:
            return None
        sizes = [self.image_sizes.get(stem) for stem in self.stems.to_pylist()]
        sides = {name: pa.array([size and size[i] for size in sizes], pa.int64()) for i, name in enumerate(SIDES)}
        table = pa.table({"image_id": image_ids, **sides})
        return table.filter(pc.is_valid(table["width"]))


def read_truth(tree: ImageNetTree, stems: pa.Array) -> Truth:
    """Read what there is.

    Args:
        tree: where it may lie.
        stems: of the validation images, see `Truth`.

    Raises:
        UserError: it is malformed, or says several classes of an image.
    """
    solution, xml = tree.solution("val"), tree.validation_xml()
    if solution:
        annotations = read_solution_csv(solution)
    elif xml:
        annotations = read_voc_xml(xml, stems.to_pylist())
    else:
        annotations = Annotations()
    source = solution or xml
    class_names, gt_boxes = _class_names(source, stems, annotations), box_lists(stems, annotations)
    return Truth(source, stems, class_names, gt_boxes, annotations.image_sizes)


def _class_names(source: DataPath | None, stems: pa.Array, annotations: Annotations) -> pa.Array:
    names = composed(pa.array(annotations.class_names, pa.string())).dictionary_encode()
    code_M, row_M = names.indices.to_numpy(), annotations.rows(stems)
    code_M, row_M = code_M[row_M >= 0], row_M[row_M >= 0]
    code_N = np.full(len(stems), -1)
    code_N[row_M] = code_M
    several = pc.unique(stems.take(pa.array(row_M[code_N[row_M] != code_M]))).to_pylist()
    if several:
        raise UserError(
            f"{source}: found objects of several classes in {len(several)} images ({abbreviate(several)}), expected"
            " one class an image; download the annotations again"
        )
    return names.dictionary.take(pa.array(code_N, mask=code_N < 0))


def only_labelled(path: DataPath, truth: Truth, hint: str) -> pa.Array:
    """The classes of images that lie flat in a folder.

    Args:
        path: the folder.
        truth: of its images.
        hint: where annotations are, if there are none where they were looked for.

    Raises:
        UserError: there is no annotation of one.
    """
    unlabelled = truth.stems.filter(pc.is_null(truth.class_names)).to_pylist()
    if unlabelled:
        source = f"in {truth.source}" if truth.source else "as there is neither LOC_val_solution.csv nor XML"
        advice = "add LOC_val_solution.csv or XML, or sort images into wnid folders"
        raise UserError(
            f"{path}: found {len(unlabelled)} images without annotation ({abbreviate(unlabelled)}) {source},"
            f" expected a class for each; {advice}{'' if truth.source else hint}"
        )
    return truth.class_names


def only_agreeing(folder_names: pa.Array, truth: Truth) -> pa.Array:
    """The classes of images that lie in class folders.

    Raises:
        UserError: annotations speak of other images, or of other classes.
    """
    if truth.source and truth.class_names.null_count == len(folder_names):
        raise UserError(
            f"{truth.source}: found none of the validation images, expected names such as {truth.stems[0]};"
            " replace or remove these annotations"
        )
    wrong = truth.stems.filter(pc.not_equal(composed(folder_names), truth.class_names).fill_null(False)).to_pylist()
    if wrong:
        raise UserError(
            f"{truth.source}: found another class than the folder's for {len(wrong)} images ({abbreviate(wrong)}),"
            " expected both to agree; move the images or replace the annotations"
        )
    return folder_names
