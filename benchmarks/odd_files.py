"""What one odd file in eight costs the decoder: files that are no image, and images that DALI does not decode.

    python benchmarks/odd_files.py --images CUB_200_2011 --layout cub --out FILE.json

Each kind takes turns with files that are all sound, `--rounds` times, and its share of their rate is the median of
those pairs, since others may use the machine. The files counted are all that were given, the odd ones among them.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from data import add_images, find_images, read_catalog
from PIL import Image
from result import Json, print_table, write_result
from throughput_parts import CORES, GPU

from psol_ray.images.decoder import make_decoder
from psol_ray.storage.addresses import image_addresses

ONE_IN = 8


def main() -> None:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_images(parser)
    parser.add_argument("--num-images", type=int, default=128)
    parser.add_argument("--batch-size", type=int, default=8, help="what `psol` takes on a CPU; 64 on a GPU")
    parser.add_argument("--input-size", type=int, default=448)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", required=True, help="JSON file to write")
    parser.add_argument("--smoke", action="store_true", help="two rounds of 16 images")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.num_images, arguments.rounds = 16, 2
    find_images(arguments)
    images = read_catalog(arguments).slice(0, arguments.num_images)
    files = list(map(str, image_addresses(arguments.images, images)))
    with tempfile.TemporaryDirectory() as folder:
        kinds = list(_measure(arguments, files, _write_odd(files[0], Path(folder))))
    metrics = {"one_in": ONE_IN, "kinds": kinds, "least_share": min(kind["share_of_sound"] for kind in kinds)}
    write_result(arguments.out, {"benchmark": "odd_files", **vars(arguments)}, metrics)
    print_table(
        [
            {
                "one in eight": kind["kind"],
                "files/s": f"{kind['files_per_s']:.1f}",
                "of sound files'": f"{kind['share_of_sound']:.1%}",
            }
            for kind in kinds
        ]
    )


def _write_odd(sound: str, folder: Path) -> dict[str, str]:
    """A file of each kind, made of a sound one."""
    content = Path(sound).read_bytes()
    image = Image.open(sound).convert("RGB")
    written = {
        "empty": b"",
        "text": b"version https://git-lfs.github.com/spec/v1\n" * 3,
        "cut short": content[: len(content) // 2],
    }
    for kind, data in written.items():
        (folder / kind).write_bytes(data)
    image.save(folder / "GIF", "GIF")
    image.convert("CMYK").save(folder / "CMYK JPEG", "JPEG")
    return {path.name: str(path) for path in sorted(folder.iterdir())}


def _measure(arguments: argparse.Namespace, files: list[str], odd: dict[str, str]) -> Iterator[Json]:
    decoder = make_decoder(arguments.input_size, arguments.batch_size, num_threads=CORES, gpu=GPU)

    def rate(files: list[str]) -> float:
        started = time.perf_counter()
        for start in range(0, len(files), arguments.batch_size):
            decoder.decode(files[start : start + arguments.batch_size])
        return len(files) / (time.perf_counter() - started)

    rate(files)
    for kind, path in odd.items():
        mixed = [path if index % ONE_IN == 0 else file for index, file in enumerate(files)]
        rate(mixed)
        pairs = [(rate(files), rate(mixed)) for _ in range(arguments.rounds)]
        yield {
            "kind": kind,
            "files_per_s": statistics.median(rate for _, rate in pairs),
            "share_of_sound": statistics.median(rate / sound for sound, rate in pairs),
            "pairs": pairs,
        }


if __name__ == "__main__":
    main()
