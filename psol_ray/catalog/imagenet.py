"""ImageNet-1k (ILSVRC 2012 CLS-LOC): Kaggle's tree, image-net.org's, or either with val in class folders."""

import pyarrow as pa
import pyarrow.compute as pc

from psol_ray.catalog.annotations import Annotations, box_lists, read_solution_csv
from psol_ray.catalog.class_folders import read_class_folders, string_array
from psol_ray.catalog.imagenet_tree import ImageNetTree, find_tree
from psol_ray.catalog.imagenet_truth import Truth, only_agreeing, only_labelled, read_truth
from psol_ray.catalog.listing import TEST, TRAIN, Listing, join_splits, split_table
from psol_ray.catalog.passed_over import PassedOver, Reason
from psol_ray.catalog.scan import scan_folder
from psol_ray.catalog.unicode_forms import composed
from psol_ray.errors import UserError, abbreviate
from psol_ray.storage.tree import DataPath, relative_name

__all__ = ["list_imagenet"]


def list_imagenet(root: DataPath) -> Listing:
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
    boxes = read_solution_csv(solution) if solution else Annotations()
    keys = _stems(root, found.image_ids) if solution else found.image_ids
    train = split_table(TRAIN, found.image_ids, found.class_names, box_lists(keys, boxes))
    passed_over, annotations = found.passed_over + tree.beside(), [solution] if solution else []
    remarks = [f"{solution.name} names none of the training images"] if solution and _is_empty(train) else []
    if not (root / tree.folder("val")).is_dir():
        remarks.append(f"found no folder {tree.folder('val')}, so there is no test split")
        return join_splits(root, train, None, annotations=annotations, passed_over=passed_over, remarks=remarks)
    test, truth, over = _validation(tree)
    return join_splits(
        root,
        train,
        test,
        annotations=[*annotations, *([truth.source] if truth.source else [])],
        passed_over=passed_over + over,
        remarks=[*remarks, *([] if truth.source else [_no_truth(tree)])],
        annotated_sizes=truth.sizes_of(test["image_id"].combine_chunks()),
    )


def _is_empty(split: pa.Table) -> bool:
    """Whether no image of a split has a box."""
    return not pc.any(pc.greater(pc.list_value_length(split["gt_boxes"]), 0)).as_py()


def _no_truth(tree: ImageNetTree) -> str:
    folders = ", ".join(relative_name(folder, tree.root) for folder in tree.validation_xml_folders())
    hint = tree.hint_above("val")
    return f"test images have no boxes: found neither LOC_val_solution.csv nor XML directly in {folders}{hint}"


def _validation(tree: ImageNetTree) -> tuple[pa.Table, Truth, PassedOver]:
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
        truth = read_truth(tree, _stems(path, image_ids))
        class_names = only_labelled(path, truth, tree.hint_above("val"))
    else:
        sorted_in = read_class_folders(tree.root, tree.folder("val"))
        image_ids, passed_over = sorted_in.image_ids, sorted_in.passed_over
        truth = read_truth(tree, _stems(path, image_ids))
        class_names = only_agreeing(sorted_in.class_names, truth)
    if truth.source == path:
        del passed_over[Reason.SUFFIX, ".xml"]
    return split_table(TEST, image_ids, class_names, truth.gt_boxes), truth, passed_over


def _stems(where: DataPath, image_ids: pa.Array) -> pa.Array:
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
