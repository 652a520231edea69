"""What CONTRIBUTING.md says is all there is to do, is: its blocks, put into a copy of the package, run."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from synthetic.configs import write_config
from synthetic.images import cut_short, write_images

from psol_ray.tables import BOXES, CATALOG, RunDir
from psol_ray.tables.schemas import OK, UNREADABLE

ROOT = Path(__file__).parents[1]
_BLOCK = re.compile(
    r"^```python\n# (?P<file>\S+\.py)(?:, (?P<how>below|in place of) `(?P<line>[^\n]*)`)?\n(?P<code>.*?)^```$",
    re.M | re.S,
)


def _sections() -> dict[str, str]:
    """What is to be added, and the text that says how."""
    return dict(re.findall(r"^### \.\.\. (.*?)\n(.*?)(?=^###|\Z)", (ROOT / "CONTRIBUTING.md").read_text(), re.M | re.S))


def _add(section: str, folder: Path) -> list[str]:
    """Do what the blocks of a section say, in a copy of the package; returns the files that are there now."""
    blocks = list(_BLOCK.finditer(section))
    for block in blocks:
        path, line = folder / block["file"], block["line"]
        if line is None:
            assert not path.exists(), path
            path.parent.mkdir(exist_ok=True)
            path.write_text(block["code"])
            continue
        lines = path.read_text().splitlines(keepends=True)
        [index] = [index for index, there in enumerate(lines) if there.startswith(line)]
        lines[index : index + 1] = [*([lines[index]] if block["how"] == "below" else []), block["code"]]
        path.write_text("".join(lines))
    return [block["file"] for block in blocks]


# One process for all: each takes seconds to import what it needs.
_RUN = """
import shlex, sys
from psol_ray.cli import main
for line in sys.argv[1:]:
    command, *flags = shlex.split(line)
    assert main([command, "--config", "config.yaml", *flags]) == 0
"""


@dataclass(frozen=True)
class Copy:
    """A copy of the package with an addition, images and a configuration."""

    folder: Path

    def table(self, stage: str, schema: pa.Schema, run_dir: str = "run") -> pa.Table:
        """A complete table of a run."""
        return RunDir(str(self.folder / run_dir)).stage(stage).read(schema)

    def psol(self, *lines: str) -> str:
        """Run the copy's commands, one after the other, in a process of their own; returns what they print."""
        done = subprocess.run(
            [sys.executable, "-c", _RUN, *lines],
            capture_output=True,
            text=True,
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(self.folder), "COLUMNS": "200"},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def _copy_with(addition: str, folder: Path) -> Copy:
    # With what Python has compiled, which keeps its value as long as the times of the files do.
    shutil.copytree(ROOT / "psol_ray", folder / "psol_ray")
    files = _add(_sections()[addition], folder)
    assert files
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--config", ROOT / "pyproject.toml", *files], cwd=folder
    )
    assert done.returncode == 0
    root = write_images(folder / "images", ["red", "blue"], train=3, val=2)
    cut_short(root / "train/red/1.jpg")
    write_config(folder, root)
    return Copy(folder)


def test_every_addition_is_tried() -> None:
    assert list(_sections()) == [
        "a generator of pseudo boxes",
        "a layout of images",
        "a format of boxes",
        "a stage",
        "a metric",
    ]


@pytest.mark.parametrize("address", ["in-process", pytest.param("null", marks=pytest.mark.slow)])
def test_a_generator_that_follows_the_example_draws_boxes(tmp_path: Path, address: str) -> None:
    copy = _copy_with("a generator of pseudo boxes", tmp_path)
    assert "10 images" in copy.psol("index", f"boxes --boxes.method contrast --cluster.address {address}")
    boxes = copy.table("boxes", BOXES)
    status = dict(zip(boxes["image_id"].to_pylist(), boxes["status"].to_pylist(), strict=True))
    assert status.pop("train/red/1.jpg") == UNREADABLE
    assert len(status) == 9
    assert set(status.values()) == {OK}
    made_by = RunDir(str(tmp_path / "run")).stage("boxes").require()
    assert made_by.config == {"method": "contrast", "least": 30.0}
    assert made_by.details["title"] == "contrast"


def test_the_help_shows_the_settings_of_a_generator_that_follows_the_example(tmp_path: Path) -> None:
    copy = _copy_with("a generator of pseudo boxes", tmp_path)
    shown = copy.psol("boxes --help")
    assert "--boxes.contrast.least LEAST" in shown
    assert "in grey levels. (a number above 0; default: 30.0)" in " ".join(shown.split())


def test_a_layout_that_follows_the_example_lists_images(tmp_path: Path) -> None:
    copy = _copy_with("a layout of images", tmp_path)
    root = tmp_path / "flat"
    root.mkdir()
    for name, number in (("red", 0), ("red", 2), ("blue", 0)):
        shutil.copy(tmp_path / f"images/train/{name}/{number}.jpg", root / f"{name}_{number}.jpg")
    copy.psol(f"index --data.root {root} --data.layout flat")
    catalog = copy.table("catalog", CATALOG)
    assert catalog["image_id"].to_pylist() == ["blue_0.jpg", "red_0.jpg", "red_2.jpg"]
    assert catalog["label"].to_pylist() == [0, 1, 1]
    assert min(catalog["width"].to_pylist()) > 0


def test_a_format_that_follows_the_example_reads_what_it_writes(tmp_path: Path) -> None:
    copy = _copy_with("a format of boxes", tmp_path)
    copy.psol(
        "index",
        "import --boxes.imported.path images",
        "export --export.table boxes --export.format jsonl --export.out exported",
        "index --run_dir again",
        "import --run_dir again --boxes.imported.format jsonl --boxes.imported.path exported",
    )
    first, again = (copy.table("boxes", BOXES, run_dir) for run_dir in ("run", "again"))
    assert len(first) == 10
    # As text, which takes NaN for NaN.
    assert repr(again.to_pydict()) == repr(first.to_pydict())


def test_a_stage_that_follows_the_example_makes_its_table_once(tmp_path: Path) -> None:
    copy = _copy_with("a stage", tmp_path)
    *_, made, again = copy.psol("index", "areas", "areas").splitlines()
    assert "10 images" in made
    assert "complete already" not in made
    assert "complete already" in again
    table = pq.read_table(tmp_path / "run/areas/part-00000.parquet").replace_schema_metadata(None)
    assert table.schema == pa.schema([("image_id", pa.string()), ("pixels", pa.int32())])


def test_a_metric_that_follows_the_example_is_scored(tmp_path: Path) -> None:
    copy = _copy_with("a metric", tmp_path)
    copy.psol("index", "import --boxes.imported.path images", "evaluate")
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    assert metrics["pseudo_boxes"]["test"]["iou_90"] == 1
    assert metrics["intervals"]["pseudo_boxes"]["test"]["iou_90"] == [1, 1]
    assert "pseudo_boxes.test.iou_90" in (tmp_path / "run/per_class.csv").read_text()
