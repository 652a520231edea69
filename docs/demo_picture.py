"""Draws docs/demo.png, the picture in the README, from a finished run: `python docs/demo_picture.py runs/demo`."""

import sys
from pathlib import Path

import pyarrow.compute as pc
import yaml
from PIL import Image, ImageDraw

from psol_ray.tables import BOXES, CATALOG, PREDICTIONS, RunDir
from psol_ray.tables.schemas import boxes_array

HEIGHT, COLUMNS, GAP = 200, 5, 6
# As on the report's page: ground truth, DDT, localizer.
COLOURS = ("#2fbf71", "#ff9f1c", "#2f7dff")


def main(run_dir: str) -> None:
    """One test image a class, in rows of equal height."""
    run = RunDir(run_dir)
    root = Path(yaml.safe_load(run.read_text("config.yaml") or "")["data"]["root"])
    catalog = run.stage("catalog").read(CATALOG)
    pictures = []
    for name in sorted(set(catalog.column("class_name").to_pylist()))[: 2 * COLUMNS]:
        of_class = catalog.filter((pc.field("class_name") == name) & (pc.field("split") == "test"))
        row = of_class.slice(len(of_class) // 2, 1)
        image_id = row.column("image_id")[0].as_py()
        boxes = [row.column("gt_boxes")[0].as_py()[0]]
        for stage, schema in (("boxes", BOXES), ("predictions", PREDICTIONS)):
            found = run.stage(stage).read(schema).filter(pc.field("image_id") == image_id)
            boxes.append(boxes_array(found)[0].tolist())
        pictures.append(_draw(root / image_id, boxes))
    rows = [pictures[i : i + COLUMNS] for i in range(0, len(pictures), COLUMNS)]
    width = max(sum(p.width + GAP for p in row) for row in rows) - GAP
    sheet = Image.new("RGB", (width, len(rows) * (HEIGHT + GAP) - GAP), "white")
    for y, row in enumerate(rows):
        x = 0
        for picture in row:
            sheet.paste(picture, (x, y * (HEIGHT + GAP)))
            x += picture.width + GAP
    sheet.save(Path(__file__).with_name("demo.png"), optimize=True)


def _draw(path: Path, boxes: list[list[float]]) -> Image.Image:
    image = Image.open(path).convert("RGB")
    scale = HEIGHT / image.height
    image = image.resize((round(image.width * scale), HEIGHT), Image.Resampling.LANCZOS)
    canvas = ImageDraw.Draw(image)
    for box, colour, dash in zip(boxes, COLOURS, (3, 9, 0), strict=True):
        x0, y0, x1, y1 = (round(value * scale) for value in box)
        for a, b in (((x0, y0), (x1, y0)), ((x1, y0), (x1, y1)), ((x1, y1), (x0, y1)), ((x0, y1), (x0, y0))):
            _line(canvas, a, b, colour, dash)
    return image


def _line(canvas: ImageDraw.ImageDraw, a: tuple[int, int], b: tuple[int, int], colour: str, dash: int) -> None:
    length = max(abs(b[0] - a[0]), abs(b[1] - a[1]), 1)
    step = dash or length
    for start in range(0, length, 2 * step if dash else step):
        ends = (start / length, min(start + step, length) / length)
        points = [(a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t) for t in ends]
        canvas.line(points, fill="black", width=5)
        canvas.line(points, fill=colour, width=3)


if __name__ == "__main__":
    main(sys.argv[1])
