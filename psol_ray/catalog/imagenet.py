"""ImageNet-1k (ILSVRC 2012 CLS-LOC): Kaggle's tree, image-net.org's, or either with val in class folders."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from psol_ray.catalog.annotations import Annotations, box_lists, read_solution_csv
from psol_ray.catalog.class_folders import read_class_folders, string_array
from psol_ray.catalog.imagenet_tree import ImageNetTree, find_tree
from psol_ray.catalog.listing import TEST, TRAIN, Listing, join_splits, split_table
from psol_ray.catalog.passed_over import PassedOver, Reason
from psol_ray.catalog.scan import scan_folder
from psol_ray.catalog.unicode_forms import composed
from psol_ray.catalog.voc_xml import read_voc_xml
from psol_ray.errors import UserError, abbreviate

__all__ = ["list_imagenet"]


def list_imagenet(root: Path) -> Listing:
    """List one of these trees::

        ILSVRC/Data/CLS-LOC/{train/WNID,val}/*.JPEG     Kaggle; root may also be ILSVRC itself
        {train/WNID,val}/*.JPEG                         image-net.org

    where `val` may hold class folders instead, or be absent. BASE is `ILSVRC` or the root. Annotations are

    - training: `LOC_train_solution.csv` in BASE or, from Kaggle, beside it; else there are no boxes. XML is
      not read: it is 544,546 files for what the CSV says in one.
    - validation: `LOC_val_solution.csv` in the same places, else the XML files in the first that has any of
      `BASE/Annotations/CLS-LOC/val`, `BASE/bbox/val` and the folder of the validation images itself.

    A flat `val` takes its labels from the annotations and so needs one for each image; class folders may go
    without. Annotations of images that are not there are left out: a part of ImageNet works with the files of
    the whole. All boxes of an image are kept, with their corners as they are.

    Raises:
        UserError: there is no training folder, a class folder is empty, an image lies outside class folders,
            a class of `val` is not in `train`, a flat `val` lacks annotations, or these are malformed or
            contradict folders.
    """
    tree = find_tree(root)
    found = read_class_folders(root, tree.folder("train"))
    solution = tree.solution("train")
    if solution:
        boxes = box_lists(_stems(root, found.image_ids), read_solution_csv(solution))
    else:
        boxes = box_lists(found.image_ids, Annotations())
    train = split_table(TRAIN, found.image_ids, found.class_names, boxes)
    passed_over = found.passed_over + _other_splits(tree)
    if not (root / tree.folder("val")).is_dir():
        return join_splits(root, train, None, annotations=[solution] if solution else [], passed_over=passed_over)
    test, truth, over = _validation(tree)
    return join_splits(
        root,
        train,
        test,
        annotations=[source for source in (solution, truth.source) if source],
        passed_over=passed_over + over,
        annotated_sizes=_by_image(test["image_id"].to_pylist(), truth),
    )


def _other_splits(tree: ImageNetTree) -> PassedOver:
    """Folders that somebody might take for the validation images; `test` has no labels."""
    names = [name for name in ("test", "valid", "validation") if (tree.root / tree.folder(name)).is_dir()]
    return Counter((Reason.FOLDER, name) for name in names)


def _validation(tree: ImageNetTree) -> tuple[pa.Table, "_Truth", PassedOver]:
    """The split, what annotations say of it, and what was passed over."""
    path = tree.root / tree.folder("val")
    found = scan_folder(path)
    if found.images and found.folders:
        raise UserError(
            f"{path}: found {len(found.images)} images ({abbreviate(found.images)}) and {len(found.folders)} folders"
            f" ({abbreviate(found.folders)}), expected only images or only class folders; move one kind elsewhere"
        )
    if found.images:
        image_ids = string_array([f"{tree.folder('val')}/{name}" for name in found.images], path)
        passed_over = found.passed_over
        truth = _read_truth(tree, _stems(path, image_ids))
        class_names = _only_labelled(path, truth)
    else:
        sorted_in = read_class_folders(tree.root, tree.folder("val"))
        image_ids, passed_over = sorted_in.image_ids, sorted_in.passed_over
        truth = _read_truth(tree, _stems(path, image_ids))
        class_names = _only_agreeing(sorted_in.class_names, truth)
    if truth.source == path:
        del passed_over[Reason.SUFFIX, ".xml"]
    return split_table(TEST, image_ids, class_names, truth.gt_boxes), truth, passed_over


def _stems(where: Path, image_ids: pa.Array) -> pa.Array:
    """File names without folder and suffix, by which annotations name images."""
    stems = composed(pc.replace_substring_regex(image_ids, pattern=r"^.*/|\.[^./]*$", replacement=""))
    if len(pc.unique(stems)) < len(stems):
        counts = pc.value_counts(stems)
        twice = counts.filter(pc.greater(counts.field("counts"), 1)).field("values").to_pylist()
        raise UserError(
            f"{where}: found several images named {abbreviate(twice)}, expected names to differ even without"
            " folder and suffix, as annotations go by them; rename or remove the others"
        )
    return stems


@dataclass(frozen=True)
class _Truth:
    """What annotations say of each validation image."""

    source: Path | None
    stems: pa.Array
    class_names: pa.Array  # null where there is no annotation
    gt_boxes: pa.Array
    image_sizes: Mapping[str, tuple[int, int]]  # by stem


def _by_image(image_ids: Sequence[str], truth: _Truth) -> dict[str, tuple[int, int]]:
    """The sizes that annotations say, by image."""
    if not truth.image_sizes:
        return {}
    sizes = zip(image_ids, map(truth.image_sizes.get, truth.stems.to_pylist()), strict=True)
    return {image_id: size for image_id, size in sizes if size}


def _read_truth(tree: ImageNetTree, stems: pa.Array) -> _Truth:
    solution, xml = tree.solution("val"), tree.validation_xml()
    if solution:
        annotations = read_solution_csv(solution)
    elif xml:
        annotations = read_voc_xml(xml, stems.to_pylist())
    else:
        annotations = Annotations()
    source = solution or xml
    class_names, gt_boxes = _class_names(source, stems, annotations), box_lists(stems, annotations)
    return _Truth(source, stems, class_names, gt_boxes, annotations.image_sizes)


def _class_names(source: Path | None, stems: pa.Array, annotations: Annotations) -> pa.Array:
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


def _only_labelled(path: Path, truth: _Truth) -> pa.Array:
    unlabelled = truth.stems.filter(pc.is_null(truth.class_names)).to_pylist()
    if unlabelled:
        source = f"in {truth.source}" if truth.source else "as there is neither LOC_val_solution.csv nor XML"
        raise UserError(
            f"{path}: found {len(unlabelled)} images without annotation ({abbreviate(unlabelled)}) {source},"
            " expected a class for each; add LOC_val_solution.csv or XML, or sort images into wnid folders"
        )
    return truth.class_names


def _only_agreeing(folder_names: pa.Array, truth: _Truth) -> pa.Array:
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
