"""All images that Pillow tests itself with, every format and every way to be broken, go through `index` and `boxes`.

They are in the folder `Tests/images` of the installed Pillow's source, which pip fetches once: 47 MB.
"""

import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import PIL
import pytest
from synthetic.configs import write_config
from synthetic.photographs import levels_apart

from psol_ray.cli import main
from psol_ray.images.batch import DecodedBatch
from psol_ray.images.dali import DaliDecoder, dali_available
from psol_ray.images.pillow import PillowDecoder
from psol_ray.report.thumbnails import make_thumbnail
from psol_ray.tables import BOXES, CATALOG, RunDir
from psol_ray.tables.schemas import UNREADABLE

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("pillow")]  # the fixtures are dear

SIDE, BATCH = 96, 8
PIP = (sys.executable, "-m", "pip", "download", "--quiet", "--retries", "1", "--timeout", "10")


@pytest.fixture(scope="module")
def source(pytestconfig: pytest.Config) -> Path:
    """The folder with the images."""
    assert pytestconfig.cache is not None
    kept = pytestconfig.cache.mkdir(f"pillow-{PIL.__version__}")
    images = kept / "images"
    if not images.is_dir():
        with TemporaryDirectory(dir=kept) as folder:
            wanted = ("--no-deps", "--no-binary", "pillow", f"pillow=={PIL.__version__}", "--dest", folder)
            done = subprocess.run([*PIP, *wanted], capture_output=True, text=True)
            if done.returncode:
                pytest.skip(f"pip cannot fetch Pillow's source: {done.stderr.strip().splitlines()[-1]}")
            (file,) = Path(folder).glob("*.tar.gz")
            with tarfile.open(file) as archive:
                members = [member for member in archive if "/Tests/images/" in member.name]
                archive.extractall(folder, members, filter="data")
            next(Path(folder).glob("*/Tests/images")).rename(images)
    return images


@pytest.fixture(scope="module")
def root(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A class for each suffix; all files are named as images, whatever they are."""
    root = tmp_path_factory.mktemp("pillow")
    files = [path for path in sorted(source.rglob("*")) if path.is_file()]
    assert len(files) > 300
    for i, path in enumerate(files):
        folder = root / "train" / (path.suffix.lower().strip(".") or "none")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{i:04d}_{path.stem}.jpg").symlink_to(path)
    return root


@pytest.fixture(scope="module")
def by_pillow(root: Path) -> dict[str, DecodedBatch]:
    decoder = PillowDecoder(SIDE)
    paths = [str(path) for path in sorted(root.rglob("*.jpg"))]
    return {path: decoder.decode([path]) for path in paths}


def test_index_and_boxes_have_a_row_for_each_and_unreadable_is_what_pillow_cannot_read(
    root: Path, by_pillow: dict[str, DecodedBatch], tmp_path: Path
) -> None:
    config = ["--config", str(write_config(tmp_path, root))]
    for command in ("index", "boxes"):
        assert main([command, *config]) in (0, 3)  # 3: many are unreadable
    run = RunDir(str(tmp_path / "run"))
    catalog, boxes = run.stage("catalog").read(CATALOG).to_pylist(), run.stage("boxes").read(BOXES).to_pylist()
    assert len(catalog) == len(boxes) == len(by_pillow)
    for row in boxes:
        assert (row["status"] != UNREADABLE) == by_pillow[str(root / row["image_id"])].ok_N[0], row["image_id"]
    assert all(row["width"] for row in boxes if row["status"] != UNREADABLE)


def in_batches(paths: list[str]) -> Iterator[tuple[str, DecodedBatch, int]]:
    decoder = DaliDecoder(SIDE, BATCH, num_threads=2)
    for start in range(0, len(paths), BATCH):
        some = paths[start : start + BATCH]
        found = decoder.decode(some)
        yield from ((path, found, row) for row, path in enumerate(some))


@pytest.mark.skipif(not dali_available(), reason="DALI has no wheel for this machine")
def test_dali_says_what_pillow_says_in_any_batch(by_pillow: dict[str, DecodedBatch]) -> None:
    shuffled = np.random.default_rng(0).permutation(list(by_pillow)).tolist()
    first = {path: found.images_NHWC[row] for path, found, row in in_batches(list(by_pillow))}
    for path, found, row in in_batches(shuffled):
        expected = by_pillow[path]
        assert found.ok_N[row] == expected.ok_N[0], path
        assert found.images_NHWC[row].equal(first[path]), path
        apart = levels_apart(found.images_NHWC[row].numpy(), expected.images_NHWC[0].numpy())
        assert apart[1:-1, 1:-1].max() <= 1, path


def test_the_page_shows_what_the_decoders_can_read(by_pillow: dict[str, DecodedBatch]) -> None:
    for path, expected in by_pillow.items():
        assert (make_thumbnail(path, 9, 9).uri is not None) == expected.ok_N[0], path
