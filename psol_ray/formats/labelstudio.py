"""Label Studio's tasks: `tasks-00000.json`, ... with boxes as predictions in percent, and `label_config.xml`."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import quoteattr

import pyarrow as pa

from psol_ray.errors import UserError
from psol_ray.formats.base import ORIGIN_UNKNOWN, ExportRows, MatchedBoxes, Origin, exporting
from psol_ray.formats.classes import Classes, find_classes, scores
from psol_ray.formats.found import Found
from psol_ray.formats.json_stream import first_character, stream_json
from psol_ray.formats.texts import hundred_millionths, join, json_texts, numbers, write_items
from psol_ray.storage.addresses import is_uri
from psol_ray.tables.schemas import NO_FOREGROUND

__all__ = ["read", "write"]

_CONFIG = "label_config.xml"
_TASKS_A_FILE = 50_000  # a file of 25 MB, which the upload page takes
_LOCAL = "/data/local-files/?d="


def read(path: Path, catalog: pa.Table, _threshold: float, /) -> MatchedBoxes:
    """Read all tasks in a folder, or in the file that is named: what people have drawn or, of other tasks, predictions.

    A task's image goes by `image_id` of its data, or by the path in `image`. Of several boxes with a score, the highest
    counts; where there is none, nothing was found.

    Raises:
        UserError: there is no file of tasks, one is malformed, or a path means no image of the catalog, or several.
    """
    files = [path] if path.is_file() else sorted(path.glob("*.json"))
    files = [file for file in files if first_character(file) == "["]
    if not files:
        raise UserError(
            f"boxes.imported.path: found no tasks in {path}, expected a JSON list of them; fix the path or"
            " boxes.imported.format"
        )
    found = Found(path)
    for file in files:
        for _, task in stream_json(file):
            _add(found, file, task)
    return found.match(catalog, "percent_xywh")


def _add(found: Found, file: Path, task: Any) -> None:
    task = task if isinstance(task, dict) else {}
    data = task.get("data") if isinstance(task.get("data"), dict) else {}
    name = data.get("image_id") or data.get("image")
    if not isinstance(name, str):
        raise UserError(f"{file}: found a task without an image, expected data with image or image_id; export it again")
    found.add_image(name if data.get("image_id") else _path(name))
    drawn = [item for item in _mappings(task.get("annotations")) if not item.get("was_cancelled")]
    # The last is the newest.
    for item in drawn[-1:] or _mappings(task.get("predictions"))[-1:]:
        for region in _mappings(item.get("result")):
            if str(region.get("type")).startswith("rectangle"):
                value = region["value"] if isinstance(region.get("value"), dict) else {}
                box = [value.get(name) for name in ("x", "y", "width", "height")]
                nothing = data.get("status") == NO_FOREGROUND
                found.add_box(box, region.get("score", item.get("score")), foreground=not nothing)


def _mappings(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _path(address: str) -> str:
    """The path in a URL, or in the parameter `d` of Label Studio's own."""
    url = urlsplit(address)
    return parse_qs(url.query).get("d", [unquote(url.path)])[0]


def write(folder: str | Path, catalog: pa.Table, table: pa.Table, origin: Origin = ORIGIN_UNKNOWN, /) -> int:
    """Write tasks, clipped to the images, and the labelling configuration that they fit.

    Images are local files of Label Studio's, whose document root is then the folder of images, or addresses where they
    lie in a store. Corners are rounded to a hundred-millionth of the image's side.

    Raises:
        UserError: the folder is taken, or the table does not fit the catalog.
    """
    with exporting(folder, catalog, table) as (unfinished, rows):
        classes = find_classes(catalog)
        (unfinished / _CONFIG).write_text(_config(classes), encoding="utf-8")
        for number, some in enumerate(rows.some(_TASKS_A_FILE)):
            with (unfinished / f"tasks-{number:05d}.json").open("wb") as file:
                file.write(b"[\n")
                write_items(file, [_tasks(some, classes, origin)])
                file.write(b"\n]\n")
    return rows.num_left_out


def _tasks(rows: ExportRows, classes: Classes, origin: Origin) -> pa.Array:
    front = f"{origin.data_root.rstrip('/')}/" if is_uri(origin.data_root) else _LOCAL
    x0_N, y0_N, x1_N, y1_N = hundred_millionths(rows.inside_N4, rows.sizes_N2).T
    x, y, w, h = (numbers(v / 1e6) for v in (x0_N, y0_N, x1_N - x0_N, y1_N - y0_N))
    width, height = (numbers(side_N) for side_N in rows.sizes_N2.T)
    image_ids = rows.image_ids
    images = json_texts(front + quote(image_id) for image_id in image_ids)
    labels = json_texts(classes.names).take(pa.array(classes.indices(rows)))
    score = numbers(scores(rows))
    nothing = pa.array(["", f',"status":"{NO_FOREGROUND}"']).take(pa.array((~rows.foreground_N).astype("int8")))
    data = join('{"data":{"image":', images, ',"image_id":', json_texts(image_ids), nothing, "}")
    size = join(',"original_width":', width, ',"original_height":', height, ',"image_rotation":0')
    value = join(',"value":{"x":', x, ',"y":', y, ',"width":', w, ',"height":', h, ',"rotation":0')
    made_by = json.dumps(origin.title, ensure_ascii=False)
    head = join(f',"predictions":[{{"model_version":{made_by},"score":', score, ',"result":[{"id":"box"')
    kind = ',"type":"rectanglelabels","from_name":"label","to_name":"image"'
    return join(data, head, kind, size, value, ',"rectanglelabels":[', labels, "]}}]}]}")


def _config(classes: Classes) -> str:
    labels = "".join(f"    <Label value={quoteattr(name)}/>\n" for name in classes.names)
    return (
        '<View>\n  <Image name="image" value="$image"/>\n  <RectangleLabels name="label" toName="image">\n'
        f"{labels}  </RectangleLabels>\n</View>\n"
    )
