"""The same images with the same boxes as trees of COCO, YOLO and Pascal VOC, and as a list."""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from psol_ray.catalog.coordinates import settle_boxes
from psol_ray.catalog.headers import read_sizes
from psol_ray.catalog.layouts import list_data
from psol_ray.catalog.listing import Listing, build_catalog
from psol_ray.catalog.settings import DataConfig

from .trees import Box, boxes_of, voc_xml, write

__all__ = ["Sample", "catalog_of", "coco", "facts", "samples_of", "write_coco", "write_list", "write_voc", "write_yolo"]


@dataclass(frozen=True)
class Sample:
    """An image somewhere, and what is known of it."""

    path: Path
    class_name: str
    split: str  # train or val
    size: tuple[int, int]
    boxes: Sequence[Box]

    @property
    def name(self) -> str:
        return f"{self.split}_{self.class_name}_{self.path.name}"


def samples_of(layout: str, root: Path) -> list[Sample]:
    catalog, _, _ = catalog_of(layout, root)
    boxes = boxes_of(catalog)
    return [
        Sample(
            root / row["image_id"],
            row["class_name"],
            "train" if row["split"] == "train" else "val",
            (row["width"], row["height"]),
            boxes.get(row["image_id"], ()),
        )
        for row in catalog.to_pylist()
    ]


def catalog_of(layout: str, root: Path) -> tuple[pa.Table, Listing, list[str]]:
    """What `psol index` makes of it: the catalog, the listing with its remarks, and in what it is not whole."""
    listing = list_data(layout, str(root))
    sizes_N2 = read_sizes(str(root), listing.images["image_id"].to_pylist())
    return settle_boxes(build_catalog(listing.images, sizes_N2), listing, layout, DataConfig(str(root), layout))


def facts(catalog: pa.Table) -> dict[str, tuple[str, str, list[list[float]]]]:
    """Class, split and boxes by the image's last name, to a hundredth of a pixel."""
    return {
        row["image_id"].rpartition("/")[2]: (
            row["class_name"],
            row["split"],
            [[round(number, 2) for number in box] for box in row["gt_boxes"]],
        )
        for row in catalog.to_pylist()
    }


def place(sample: Sample, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.link(sample.path, path) if sample.path.stat().st_dev == path.parent.stat().st_dev else path.symlink_to(
        sample.path
    )


def coco(images: Iterable[dict[str, Any]], objects: Iterable[dict[str, Any]], classes: Sequence[str]) -> str:
    """Images and objects are numbered from 1, unless they say otherwise."""
    return json.dumps(
        {
            "info": {"description": "test", "images": 3},
            "licenses": [{"id": 1, "name": "CC0"}],
            "images": [{"id": i, **image} for i, image in enumerate(images, 1)],
            "annotations": [{"id": i, "iscrowd": 0, **each} for i, each in enumerate(objects, 1)],
            "categories": [{"id": i, "name": name, "supercategory": "thing"} for i, name in enumerate(classes, 1)],
        }
    )


def write_coco(root: Path, samples: Sequence[Sample], *, roboflow: bool = False) -> Path:
    """As COCO is distributed, or as Roboflow writes it."""
    classes = sorted({sample.class_name for sample in samples})
    for split in ("train", "val"):
        some = [sample for sample in samples if sample.split == split]
        folder = ("train" if split == "train" else "valid") if roboflow else f"{split}2017"
        for sample in some:
            place(sample, root / folder / sample.name)
        text = coco(
            [{"file_name": each.name, "width": each.size[0], "height": each.size[1]} for each in some],
            [
                {
                    "image_id": i,
                    "category_id": classes.index(each.class_name) + 1,
                    "bbox": [x0, y0, x1 - x0, y1 - y0],
                    "segmentation": [[x0, y0, x1, y0, x1, y1]],
                }
                for i, each in enumerate(some, 1)
                for x0, y0, x1, y1 in each.boxes
            ],
            classes,
        )
        name = f"{folder}/_annotations.coco.json" if roboflow else f"annotations/instances_{folder}.json"
        write(root / name, text)
    return root


def write_yolo(root: Path, samples: Sequence[Sample], *, roboflow: bool = False) -> Path:
    """As ultralytics has it, or as Roboflow writes it."""
    classes = sorted({sample.class_name for sample in samples})
    for each in samples:
        folder = "valid" if roboflow and each.split == "val" else each.split
        images, labels = (f"{folder}/{kind}" if roboflow else f"{kind}/{folder}" for kind in ("images", "labels"))
        place(each, root / images / each.name)
        (width, height), number = each.size, classes.index(each.class_name)
        lines = [
            f"{number} {(x0 + x1) / 2 / width} {(y0 + y1) / 2 / height} {(x1 - x0) / width} {(y1 - y0) / height}\n"
            for x0, y0, x1, y1 in each.boxes
        ]
        write(root / labels / f"{Path(each.name).stem}.txt", "".join(lines))
    write(root / "data.yaml", json.dumps({"train": "../train/images", "nc": len(classes), "names": classes}))
    return root


def write_voc(root: Path, samples: Sequence[Sample], *, roboflow: bool = False) -> Path:
    """As Pascal VOC is distributed, or as Roboflow writes it."""
    sets: dict[str, list[str]] = {"train": [], "val": []}
    for each in samples:
        split = "valid" if each.split == "val" else "train"
        images, annotations = (split, split) if roboflow else ("JPEGImages", "Annotations")
        place(each, root / images / each.name)
        stem = Path(each.name).stem
        write(root / annotations / f"{stem}.xml", voc_xml(each.class_name, *each.boxes, size=each.size))
        sets[each.split].append(stem)
    if not roboflow:
        for name, stems in {**sets, "trainval": [*sets["train"], *sets["val"]]}.items():
            write(root / f"ImageSets/Main/{name}.txt", "\n".join(stems))
    return root


def write_list(root: Path, samples: Sequence[Sample]) -> Path:
    lines = ["class,path,x0,y0,x1,y1,split"]
    for each in samples:
        place(each, root / "photos" / each.name)
        corners = [",".join(map(str, box)) for box in each.boxes] or [",,,"]
        lines += [f"{each.class_name},photos/{each.name},{numbers},{each.split}" for numbers in corners]
    write(root / "images.csv", "\n".join(lines) + "\n")
    return root
