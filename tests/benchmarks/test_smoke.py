"""Every benchmark and experiment runs from first line to last, on a few images; no figure here means anything."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from synthetic.images import write_squares

ROOT = Path(__file__).parents[2]


def metrics_of(folder: Path, name: str) -> dict[str, Any]:
    """What a benchmark measured, once its file says how."""
    result = json.loads((folder / f"{name}.json").read_text())
    assert result["params"]["benchmark"] == name
    assert result["params"]["command"].startswith("python ")
    assert {"date", "cpu", "cores", "commit"} <= result["environment"].keys()
    return result["metrics"]


@pytest.mark.slow
def test_every_benchmark_runs(tmp_path: Path) -> None:
    # A process of its own, with a Ray of its own, whose workers find the benchmarks.
    folders = [ROOT / "benchmarks", *(path.parent for path in ROOT.glob("experiments/*/README.md")), ROOT]
    # Without what `ray.init` has left in this one, such as that the cluster wants a token.
    others = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment = others | {"PYTHONPATH": os.pathsep.join(map(str, folders))}
    shared = os.environ.get("PSOL_SHARED", "")
    command = [sys.executable, str(Path(__file__).with_name("run_all.py")), str(tmp_path), shared]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]

    assert len(metrics_of(tmp_path, "ddt_heat")["kinds"]) == 2
    assert all(part["seconds"] > 0 for part in metrics_of(tmp_path, "evaluation")["parts"])
    assert not [row for row in metrics_of(tmp_path, "timm_families")["families"] if "failed" in row]
    assert len(metrics_of(tmp_path, "odd_files")["kinds"]) == 5
    places = metrics_of(tmp_path, "storage")["places"]
    assert {place["latency_ms"] for place in places} == {0, 10, 50}
    assert all(place["share_of_local"] > 0 for place in places)
    assert all(command["peak_mb"] > 0 for command in metrics_of(tmp_path, "imagenet_size")["commands"])
    labels = metrics_of(tmp_path, "labels")
    assert [(row["layout"], row["boxes"]) for row in labels["layouts"]] == [("classes", 66), ("coco", 66)]
    assert [row["images"] for row in labels["memory"]] == [66, 132]

    formats = metrics_of(tmp_path, "formats")["formats"]
    assert [row["format"] for row in formats] == ["csv", "coco"]
    assert all(row["export_mb"] > 0 and row["import_mb"] > 0 for row in formats)
    assert all(row["share_equal"] == 1 for row in formats)
    if shared:
        assert metrics_of(tmp_path, "sign_rules")["together"]["cases"] == 2
    assert [run["passes"] for run in metrics_of(tmp_path, "ddt_memory")["runs"]] == [1, 1, 2, 1]
    assert metrics_of(tmp_path, "ddt_fidelity")["mean_iou"] > 0.99
    training = metrics_of(tmp_path, "train_throughput")["backbones"]["tf_efficientnet_lite0"]
    assert training["dali"]["images_per_s"] > 0
    throughput = metrics_of(tmp_path, "ddt_throughput")
    assert not throughput["skipped"]
    assert throughput["engine_images_per_s"] > 0
    assert throughput["engine_over_ray_data"] > 0
    assert all(0 < run["of_network"] < 1 for run in metrics_of(tmp_path, "engine_limit")["runs"])
    serving = metrics_of(tmp_path, "serving")
    assert [row["clients"] for row in serving["clients"]] == [1, 8, 64]
    assert serving["kills"]["by_status"] == {"200": serving["kills"]["requests"]}
    assert serving["abuse"]["photos_by_status"].keys() == {"200"}
    runs = metrics_of(tmp_path, "ddt_scaling")["runs"]
    assert [run["parts"] for run in runs] == [run["classes"] for run in runs]
    assert len(next(run for run in runs if run["kind"] == "killed")["found_dead_at_s"]) == 1
    for name in ("ddt_throughput", "ddt_scaling", "ddt_memory"):
        assert "<svg" in (tmp_path / f"{name}.svg").read_text()


@pytest.mark.slow
def test_training_refuses_a_batch_that_never_fills(tmp_path: Path) -> None:
    folder = tmp_path / "images" / "train" / "squares"
    folder.mkdir(parents=True)
    write_squares(folder, 3)
    command = [sys.executable, "benchmarks/train_throughput.py", "--images", str(tmp_path / "images")]
    command += ["--layout", "folder", "--batch-size", "4", "--out", str(tmp_path / "result.json")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180)
    assert done.stderr.splitlines()[-1].startswith("found 3 training images, expected 4 for a batch at least")
    assert done.returncode == 1
