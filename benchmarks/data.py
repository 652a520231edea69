"""What benchmarks work on: the images that are named, else the demo's, with a package's weights. No downloads."""

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from psol_ray.catalog.headers import read_sizes
from psol_ray.catalog.layouts import LAYOUTS, list_images
from psol_ray.catalog.listing import build_catalog
from psol_ray.demo.dataset import make_demo
from psol_ray.models import lite0
from psol_ray.tables import Provenance, RunDir
from psol_ray.tables.boxes_table import boxes_table, image_sizes

__all__ = ["LITE0", "add_images", "find_images", "read_catalog", "whole_classes", "with_middle_boxes", "write_stage"]

LITE0 = (lite0.BACKBONE, lite0.PACKAGE)
_DEMO_TRAIN, _DEMO_VAL = 18, 2  # images of each class


def add_images(parser: argparse.ArgumentParser) -> None:
    """Add `--images` and `--layout`."""
    parser.add_argument("--images", help="data root; without it, demo images are made in the temporary folder")
    parser.add_argument("--layout", default="imagenet", choices=tuple(LAYOUTS))


def find_images(arguments: argparse.Namespace) -> None:
    """Make the demo where no images are named; `arguments` hold an absolute data root and its layout from then on."""
    if arguments.images is None:
        arguments.images, arguments.layout = str(Path(tempfile.gettempdir()) / "psol_benchmark_images"), "folder"
        make_demo(arguments.images, num_train=_DEMO_TRAIN, num_val=_DEMO_VAL)
    arguments.images = os.path.abspath(arguments.images)


def read_catalog(arguments: argparse.Namespace) -> pa.Table:
    """The catalog of all images that can be read, schema `CATALOG`: not every peer takes others."""
    listing = list_images(arguments.layout, arguments.images)
    catalog = build_catalog(listing, read_sizes(arguments.images, listing["image_id"].to_pylist()))
    return catalog.filter(pc.field("width") > 0)


def whole_classes(catalog: pa.Table, num_images: int) -> pa.Table:
    """Rows of the first classes, in alphabetic order, that together have so many images."""
    wanted: list[str] = []
    count = 0
    for entry in sorted(pc.value_counts(catalog["class_name"]).to_pylist(), key=lambda entry: str(entry["values"])):
        if count < num_images:
            wanted.append(entry["values"])
            count += entry["counts"]
    return catalog.filter(pc.is_in(catalog["class_name"], pa.array(wanted)))


def with_middle_boxes(catalog: pa.Table) -> pa.Table:
    """A boxes table: in each image, the middle three fifths of either side."""
    sizes_N2 = image_sizes(catalog)
    boxes_N4 = np.concatenate([0.2 * sizes_N2, 0.8 * sizes_N2], axis=1)
    return boxes_table(catalog, boxes_N4, np.full(len(catalog), "ok"), area_fraction=0.36)


def write_stage(run: RunDir, name: str, table: pa.Table) -> None:
    """Write a stage of one part, complete."""
    stage, made_by = run.stage(name), Provenance(name, {}, {})
    stage.write_part("part-00000", table, made_by)
    stage.complete(made_by)
