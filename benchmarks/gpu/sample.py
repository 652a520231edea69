"""Real images and real weights, few enough to travel: `sample.tar`, some 41 MB.

    python sample.py --cub CUB_200_2011 --weights vgg16_features.safetensors --out DIR

Three classes of CUB in their original layout, whose files are as large as ImageNet's on average (100 kB), and VGG16's
convolutions in float16: its rounding is eight times finer than that of the bfloat16 that a GPU makes of them.
"""

import argparse
import subprocess
from pathlib import Path

import numpy as np
import safetensors.numpy

CLASSES = ("002.Laysan_Albatross", "004.Groove_billed_Ani", "006.Least_Auklet")


def main() -> None:
    """Cut, convert, pack."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cub", type=Path, required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    out = arguments.out / "sample"
    _cut(arguments.cub, out / "cub")
    state = safetensors.numpy.load_file(arguments.weights)
    halves = {name: array.astype(np.float16) for name, array in state.items()}
    safetensors.numpy.save_file(halves, out / "vgg16.safetensors")
    # Two bytes a value, of which one compresses: xz is told so.
    subprocess.run(["xz", "-kf", "--lzma2=preset=6,lp=1,lc=3", out / "vgg16.safetensors"], check=True)
    names = ["cub", "vgg16.safetensors.xz"]
    subprocess.run(["tar", "-C", out, "-chf", arguments.out / "sample.tar", *names], check=True)
    print(f"sample.tar: {(arguments.out / 'sample.tar').stat().st_size / 1e6:.1f} MB")


def _cut(cub: Path, to: Path) -> None:
    (to / "images").mkdir(parents=True, exist_ok=True)
    for name in CLASSES:
        link = to / "images" / name
        link.unlink(missing_ok=True)
        link.symlink_to((cub / "images" / name).resolve())
    kept = [line.split()[0] for line in _lines(cub / "images.txt") if line.split()[1].startswith(CLASSES)]
    for name in ("images", "image_class_labels", "train_test_split", "bounding_boxes"):
        _write(to / f"{name}.txt", [line for line in _lines(cub / f"{name}.txt") if line.split()[0] in set(kept)])
    _write(to / "classes.txt", [line for line in _lines(cub / "classes.txt") if line.split()[1] in CLASSES])


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def _write(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines))


if __name__ == "__main__":
    main()
