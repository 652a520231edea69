"""Where images lie, and what it costs: files, tar shards and Parquet, on this disk and in an S3 server that is slow.

    python benchmarks/storage.py --images CUB_200_2011 --layout cub --out FILE.json

Measures the loader alone, class by class as DDT reads them: images/s from addresses to decoded pixels. Each place takes
turns with local files, `--rounds` times, and its share of their rate is the median of those pairs. The server works on
the same cores as the decoder, which a real one does not: a request costs it some milliseconds of a core.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
from data import add_images, find_images, read_catalog, whole_classes
from result import Json, print_table, write_result
from s3_server import s3_server
from throughput_parts import CORES, GPU

from psol_ray.catalog.layouts import list_data
from psol_ray.catalog.pack import pack
from psol_ray.images.batch import Decoder
from psol_ray.images.batches import decode_ahead
from psol_ray.images.decoder import make_decoder
from psol_ray.storage.addresses import Address, image_addresses
from psol_ray.tables.folder import Folder

LATENCIES_MS = (0, 10, 50)
BUCKET = "images"
# As the hubs write them.
ROWS_A_GROUP = 100


@dataclass(frozen=True)
class Place:
    """Images somewhere, and how late that answers."""

    name: str
    addresses: Sequence[Address]
    latency_ms: int = 0


def main() -> None:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_images(parser)
    parser.add_argument("--num-images", type=int, default=512)
    parser.add_argument("--batch-size", type=int, default=8, help="what `psol` takes on a CPU; 64 on a GPU")
    parser.add_argument("--input-size", type=int, default=448)
    parser.add_argument("--shard-mb", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", required=True, help="JSON file to write")
    parser.add_argument("--smoke", action="store_true", help="one round of 24 images")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.num_images, arguments.rounds = 24, 1
    find_images(arguments)
    with tempfile.TemporaryDirectory() as folder, s3_server(BUCKET, Path(folder) / "latency_ms") as store:
        places = list(_make_places(arguments, Path(folder), store))
        rows = list(_measure(arguments, places, Path(folder) / "latency_ms"))
    write_result(arguments.out, {"benchmark": "storage", **vars(arguments)}, {"places": rows})
    print_table(
        [
            {
                "place": row["place"],
                "latency": f"{row['latency_ms']} ms",
                "images/s": f"{row['images_per_s']:.1f}",
                "of local files'": f"{row['share_of_local']:.1%}",
            }
            for row in rows
        ]
    )


def _make_places(arguments: argparse.Namespace, folder: Path, store: pafs.FileSystem) -> Iterator[Place]:
    """The same images, five times."""
    images = whole_classes(read_catalog(arguments), arguments.num_images).slice(0, arguments.num_images)
    found = [os.stat(f"{arguments.images}/{name}") for name in images["image_id"].to_pylist()]
    files = {"bytes": [file.st_size for file in found], "modified": [file.st_mtime_ns for file in found]}
    for name, values in files.items():
        images = images.append_column(name, pa.array(values, pa.int64()))
    local = image_addresses(arguments.images, images)
    yield Place("local files", local)

    pack(images, arguments.images, Folder(pafs.LocalFileSystem(), f"{folder}/tar"), arguments.shard_mb << 20, _ignore)
    _write_parquet(images, local, folder / "parquet")
    order = images["image_id"].to_pylist()
    for layout, kind in (("webdataset", "tar"), ("parquet", "parquet")):
        yield Place(f"local {kind} shards", _addresses(layout, f"{folder}/{kind}", order))

    for name, address in zip(order, local, strict=True):
        assert isinstance(address, str)
        with store.open_output_stream(f"{BUCKET}/files/{name}") as stream:
            stream.write(Path(address).read_bytes())
    pafs.copy_files(f"{folder}/tar", f"{BUCKET}/tar", destination_filesystem=store)
    pafs.copy_files(f"{folder}/parquet", f"{BUCKET}/parquet", destination_filesystem=store)
    in_store = {
        "S3 files": image_addresses(f"s3://{BUCKET}/files", images),
        "S3 tar shards": _addresses("webdataset", f"s3://{BUCKET}/tar", order),
        "S3 Parquet": _addresses("parquet", f"s3://{BUCKET}/parquet", order),
    }
    for latency_ms in LATENCIES_MS:
        for name, addresses in in_store.items():
            yield Place(name, addresses, latency_ms)


def _write_parquet(images: pa.Table, addresses: Sequence[Address], folder: Path) -> None:
    folder.mkdir()
    cells = [
        {"bytes": Path(str(address)).read_bytes(), "path": name}
        for address, name in zip(addresses, images["image_id"].to_pylist(), strict=True)
    ]
    table = pa.table({"image": cells, "label": images["label"]})
    pq.write_table(table, folder / "train-00000-of-00001.parquet", row_group_size=ROWS_A_GROUP)


def _addresses(layout: str, root: str, order: Sequence[str]) -> Sequence[Address]:
    """In the same order as the local files."""
    listing = list_data(layout, root)
    assert listing.files is not None
    images = listing.images.append_column("bytes", listing.files["bytes"])
    found = dict(zip(images["image_id"].to_pylist(), image_addresses(root, images), strict=True))
    return [found[name] for name in order]


def _ignore(_done: int) -> None:
    pass


def _measure(arguments: argparse.Namespace, places: Sequence[Place], latency: Path) -> Iterator[Json]:
    decoder = make_decoder(arguments.input_size, arguments.batch_size, num_threads=CORES, gpu=GPU)
    local = places[0]

    def rate(place: Place) -> float:
        latency.write_text(str(place.latency_ms))
        return _rate(decoder, place.addresses, arguments.batch_size)

    rate(local)
    for place in places:
        rate(place)
        pairs = [(rate(local), rate(place)) for _ in range(arguments.rounds)]
        yield {
            "place": place.name,
            "latency_ms": place.latency_ms,
            "images_per_s": statistics.median(each for _, each in pairs),
            "share_of_local": statistics.median(each / files for files, each in pairs),
            "pairs": pairs,
        }


def _rate(decoder: Decoder, addresses: Sequence[Address], batch_size: int) -> float:
    started = time.perf_counter()
    for _, batch in decode_ahead(addresses, decoder.decode, batch_size):
        assert batch.ok_N.all()
    return len(addresses) / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
