"""The text files of wsolevaluation's metadata: an image id and whole numbers a line, between commas."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from psol_ray.catalog.unicode_forms import check_one_form, composed
from psol_ray.errors import UserError, abbreviate
from psol_ray.storage.tree import DataPath

__all__ = [
    "CLASS_LABELS",
    "IMAGE_IDS",
    "IMAGE_SIZES",
    "LOCALIZATION",
    "check_other_images",
    "check_repeats",
    "names_masks",
    "read_localization",
    "read_numbers",
    "says_anything",
]

IMAGE_IDS = "image_ids.txt"
CLASS_LABELS = "class_labels.txt"
IMAGE_SIZES = "image_sizes.txt"
LOCALIZATION = "localization.txt"
_CORNERS = ("x0", "y0", "x1", "y1")


def says_anything(path: DataPath) -> bool:
    """Whether a file that may be absent is there, and has a line; published metadata has empty ones."""
    return path.is_file() and bool(path.read_bytes().strip())


def names_masks(path: DataPath) -> bool:
    """Whether `localization.txt` is of images that have masks: the image, a mask, and a mask to ignore, or none."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        fields = file.readline().strip().split(b",")
    return len(fields) in (2, 3) and fields[1].lower().endswith(b".png")


def read_numbers(path: DataPath, names: Sequence[str]) -> pa.Table:
    """`image_id` and these columns of whole numbers, 0 or more, as int32, in the order of the file.

    Raises:
        UserError: the file is missing, is no text in UTF-8, or has a line of another form.
    """
    table, malformed = _read_texts(path, ("image_id", *names))
    numbers = [pc.utf8_trim_whitespace(table[name]) for name in names]
    good = pc.not_equal(table["image_id"], "")
    for texts in numbers:
        # Nine digits fit an int32.
        good = pc.and_(good, pc.match_substring_regex(texts, r"^\d{1,9}$"))
    malformed += [",".join(row.values()) for row in table.filter(pc.invert(good)).to_pylist()]
    if malformed:
        form = ",".join(["IMAGE_ID", *(name.upper() for name in names)])
        raise UserError(
            f"{path}: found {len(malformed)} lines of another form ({abbreviate([repr(line) for line in malformed])}),"
            f" expected {form}{' in whole numbers, 0 or more' if names else ''}; fix them"
        )
    check_one_form(path, table["image_id"])
    # In one of Unicode's forms, since the files of a split need not have come from the same machine.
    return pa.table([composed(table["image_id"]), *(texts.cast(pa.int32()) for texts in numbers)], ["image_id", *names])


def _read_texts(path: DataPath, names: Sequence[str]) -> tuple[pa.Table, list[str]]:
    """Columns of text, and the lines with more or fewer values."""
    if not path.is_file():
        raise UserError(f"{path} does not exist, expected a file of wsolevaluation's metadata; add it")
    malformed: list[str] = []

    def skip(row: csv.InvalidRow) -> str:
        malformed.append(row.text)
        return "skip"

    try:
        with path.open("rb") as file:
            table = csv.read_csv(
                file,
                csv.ReadOptions(use_threads=False, column_names=names),
                csv.ParseOptions(quote_char=False, invalid_row_handler=skip),
                csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string())),
            )
    except pa.ArrowInvalid as error:
        if "Empty CSV file" in str(error):
            return pa.table({name: pa.array([], pa.string()) for name in names}), malformed
        raise UserError(f"{path}: found {error}, expected text in UTF-8; download the file again") from None
    return table.combine_chunks(), malformed


def read_localization(path: DataPath) -> pa.Table:
    """`image_id`, `x0`, `y0`, `x1`, `y1` of `localization.txt`, a box a row; the last pixels are named.

    Whether they are boxes is asked once images have sizes (`catalog.coordinates`).

    Raises:
        UserError: as of `read_numbers`.
    """
    return read_numbers(path, _CORNERS)


def check_repeats(path: DataPath, image_ids: pa.ChunkedArray) -> None:
    """Raise a UserError where an image is there twice."""
    counts = pc.value_counts(image_ids)
    repeated = counts.filter(pc.greater(counts.field("counts"), 1)).field("values").to_pylist()
    if repeated:
        raise UserError(
            f"{path}: found {len(repeated)} images more than once ({abbreviate(repeated)}), expected each once;"
            " remove the other lines"
        )


def check_other_images(path: DataPath, found: pa.ChunkedArray, image_ids: pa.ChunkedArray) -> None:
    """Raise a UserError where a file speaks of other images than `image_ids.txt`."""
    for what, some, others in (("no line", image_ids, found), ("a line", found, image_ids)):
        odd = pc.unique(some.filter(pc.invert(pc.is_in(some, value_set=others.combine_chunks())))).to_pylist()
        if odd:
            shown = abbreviate([repr(image_id) for image_id in odd])  # which shows a blank at its end
            raise UserError(
                f"{path}: found {what} for {len(odd)} images ({shown}), expected exactly the images of {IMAGE_IDS};"
                " make both files from the same data"
            )
