"""A small run on pictures of one colour, and a reader of the page made from it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image

from psol_ray.evaluation import ScoringProtocol, score_images
from psol_ray.report.page import render_page
from psol_ray.tables.schemas import BOXES, CATALOG, OK, PREDICTIONS, UNREADABLE

Box = Sequence[float]
CORNERS = ("x0", "y0", "x1", "y1")
NAN_BOX = (float("nan"),) * 4


@dataclass
class Page(HTMLParser):
    """What a browser would find: elements as (tag, attributes), each within the section of the last `id`."""

    html: str
    elements: dict[str, list[tuple[str, dict[str, str]]]] = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()
        self._section = ""
        self.feed(self.html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self._section = found.get("id", self._section)
        self.elements.setdefault(self._section, []).append((tag, found))

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self._section, []).append(data)

    def text(self, section: str = "") -> str:
        return " ".join("".join(self.texts.get(section, [])).split())

    def all(self, tag: str, section: str | None = None, **attributes: str) -> list[dict[str, str]]:
        """Attributes of the elements of this tag that have these attributes."""
        sections = self.elements if section is None else [section]
        found = (a for s in sections for t, a in self.elements.get(s, []) if t == tag)
        return [a for a in found if attributes.items() <= a.items()]


@dataclass
class Run:
    """Rows of a run's tables and how to render them."""

    data_root: Path
    catalog: list[dict[str, Any]] = field(default_factory=list)
    boxes: list[dict[str, Any]] = field(default_factory=list)
    predictions: list[dict[str, Any]] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=lambda: {"teacher": "DDT"})
    curves: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    made_by: dict[str, dict[str, Any]] = field(default_factory=dict)
    title: str = "Patches"

    def add(
        self,
        image_id: str,
        *,
        label: int = 0,
        split: str = "test",
        size: tuple[int, int] = (64, 32),
        gt: Sequence[Box] = ((0, 0, 32, 32),),
        pseudo: Box | None = (0, 0, 32, 32),
        localizer: Box | None = (0, 0, 32, 32),
        class_name: str = "",
        on_disk: bool = True,
    ) -> None:
        """Add an image and its rows; a test image without a `localizer` box has no row in predictions."""
        common = {"image_id": image_id, "label": label, "width": size[0], "height": size[1]}
        name = class_name or f"class_{label}"
        self.catalog.append(common | {"class_name": name, "split": split, "gt_boxes": [list(b) for b in gt]})
        if pseudo is not None:
            status = UNREADABLE if pseudo == NAN_BOX else OK
            self.boxes.append(common | dict(zip(CORNERS, pseudo, strict=True)) | {"status": status})
        if localizer is not None and split == "test":
            top: dict[str, Any] = {"top_labels": [label], "top_probs": [0.75]}
            if localizer == NAN_BOX:
                top = {"top_labels": [], "top_probs": []}
            self.predictions.append({"image_id": image_id, **dict(zip(CORNERS, localizer, strict=True)), **top})
        if on_disk:
            Image.new("RGB", size, (90, 120, 60)).save(self.data_root / image_id)

    def tables(self) -> dict[str, pa.Table]:
        """Its tables, scored as its metrics say."""
        rows = {"catalog": (self.catalog, CATALOG), "boxes": (self.boxes, BOXES)}
        rows |= {"predictions": (self.predictions, PREDICTIONS)}
        tables = {name: pa.Table.from_pylist(rows, schema=schema) for name, (rows, schema) in rows.items()}
        protocol = ScoringProtocol(self.metrics.get("crop_share"), self.metrics.get("iou_rule") == "above")
        return {**tables, "scores": score_images(*tables.values(), protocol)}

    def html(self, heats: Callable[[Sequence[str]], Any] = lambda _: {}, **changes: Any) -> str:
        run = replace(self, **changes)
        return render_page(
            title=run.title,
            data_root=str(run.data_root),
            **run.tables(),
            metrics=run.metrics,
            curves=run.curves,
            made_by=run.made_by,
            heats=heats,
        )

    def page(self, **changes: Any) -> Page:
        return Page(self.html(**changes))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run without a row."""
    return Run(tmp_path)


@pytest.fixture
def small_run(run: Run) -> Run:
    """Two classes: of each two training images, a test image that all find, and one that only DDT finds."""
    for label in (0, 1):
        for i in (0, 1):
            run.add(f"train_{label}{i}.png", label=label, split="train")
        run.add(f"found_{label}.png", label=label)
        run.add(f"lost_{label}.png", label=label, localizer=(40, 0, 64, 32))
    return run
