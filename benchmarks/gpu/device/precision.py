"""Boxes of real images in the precisions a GPU has, against float32 that is float32 (no TF32), and against the truth.

    PYTHONPATH=PROJECT python precision.py --cub CUB_200_2011 --weights vgg16.safetensors --out FILE.json

DDT as the engine runs it in a process, with pixels decoded once by Pillow. `twice` and `batch 48` tell whether a GPU
gives the same boxes again, and with other batches: on a CPU it does, to the last digit.
"""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from measure import CUDA, DEVICE
from vgg16_ways import make_extractor, plain_network, project_network, ways

from psol_ray.catalog.headers import read_sizes
from psol_ray.catalog.layouts import list_images
from psol_ray.catalog.listing import build_catalog
from psol_ray.evaluation import ScoringProtocol
from psol_ray.generators.ddt.class_boxes import locate_class
from psol_ray.generators.ddt.stream import FeatureStream
from psol_ray.geometry.boxes import iou
from psol_ray.images.batch import DecodedBatch
from psol_ray.images.pillow import PillowDecoder
from psol_ray.storage.addresses import image_addresses
from psol_ray.tables.schemas import boxes_array

Network = Callable[[torch.Tensor], torch.Tensor]


class _Kept:
    """A decoder of files that are decoded already."""

    def __init__(self, pixels: dict[str, torch.Tensor]) -> None:
        self._pixels = pixels

    def decode(self, paths: Sequence[Any], *_: Any, **__: Any) -> DecodedBatch:
        return DecodedBatch(torch.stack([self._pixels[path] for path in paths]), np.ones(len(paths), bool))


def main() -> None:
    """Every variant over all classes; a line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cub", required=True)
    parser.add_argument("--weights", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--most", type=int, help="images, to try it out")
    parser.add_argument("--size", type=int, default=448)
    arguments = parser.parse_args()
    listing = list_images("cub", arguments.cub)
    listing = listing.slice(0, arguments.most or len(listing))
    catalog = build_catalog(listing, read_sizes(arguments.cub, listing["image_id"].to_pylist()))
    catalog = catalog.sort_by([("label", "ascending"), ("split", "descending"), ("image_id", "ascending")])
    kept = _Kept(_decode(arguments.cub, catalog, arguments.size))
    extractor = make_extractor(arguments.weights)
    plain = torch.no_grad()(extractor)

    def boxes(network: Network, batch_size: int = 64) -> pa.Table:
        return _locate(arguments.cub, catalog, kept, network, batch_size, arguments.size)

    def project() -> Network:
        return project_network(extractor, 64, arguments.size)

    with _convolutions(tf32=False):
        exact = boxes(plain)
    as_it_is = boxes(project())
    with _convolutions(tf32=True):
        tf32 = boxes(plain)
    tables = {
        "TF32": tf32,
        "bfloat16, layer by layer": boxes(plain_network(extractor)),
        "bfloat16, as the project has it": as_it_is,
    }
    for name in ("all cudnn", "all triton"):
        if CUDA:
            try:
                tables[name] = boxes(ways(extractor, 64, arguments.size)[name]())
            except Exception as error:
                print(f"{name}: {error!r}"[:300])
    result = {"float32": _compare(catalog, exact, exact)}
    result |= {name: _compare(catalog, table, exact) for name, table in tables.items()}
    result["the project's twice"] = _compare(catalog, boxes(project()), as_it_is)
    result["the project's, batches of 48"] = _compare(
        catalog, boxes(project_network(extractor, 48, arguments.size), 48), as_it_is
    )
    for name, row in result.items():
        print(name, {key: round(value, 4) for key, value in row.items()}, flush=True)
    Path(arguments.out).write_text(
        json.dumps({"images": len(catalog), "size": arguments.size, "found": result}, indent=1)
    )


def _decode(root: str, catalog: pa.Table, size: int) -> dict[str, torch.Tensor]:
    paths = list(map(str, image_addresses(root, catalog)))
    pixels = PillowDecoder(size, num_threads=16).decode(paths).images_NHWC.to(DEVICE)
    return dict(zip(paths, pixels, strict=True))


def _locate(root: str, catalog: pa.Table, kept: _Kept, network: Network, batch_size: int, size: int) -> pa.Table:
    stream = FeatureStream([kept], network, batch_size, DEVICE)

    def locate(label: int) -> pa.Table:
        images = catalog.filter(pc.field("label") == label)
        paths = list(map(str, image_addresses(root, images)))
        parts = locate_class(images, lambda accept: stream.read(paths, accept), input_size=size, upsample="bilinear")
        return parts["boxes"]

    with ThreadPoolExecutor(2) as threads:
        tables = list(threads.map(locate, catalog["label"].unique().to_pylist()))
    stream.close()
    return pa.concat_tables(tables)


def _compare(catalog: pa.Table, boxes: pa.Table, others: pa.Table) -> dict[str, float]:
    protocol = ScoringProtocol()
    agreement = iou(boxes_array(boxes), boxes_array(others))
    return {
        "mean_iou": float(agreement.mean()),
        "lowest_iou": float(agreement.min()),
        "same_share": float((boxes_array(boxes) == boxes_array(others)).all(axis=1).mean()),
        "gt_known": float(protocol.right(protocol.ious(catalog, boxes_array(boxes))).mean()),
    }


@contextmanager
def _convolutions(*, tf32: bool) -> Iterator[None]:
    # Said each time: whoever prepares a worker or tries a network switches it off.
    before, torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.allow_tf32, tf32
    yield
    torch.backends.cudnn.allow_tf32 = before


if __name__ == "__main__":
    main()
