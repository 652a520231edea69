"""Every benchmark runs from its first line to its last, on a few images; none of these figures means anything."""

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch

from psol_ray.demo.dataset import make_demo
from psol_ray.models.backbones import find_backbone
from psol_ray.models.weights import load_state

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


class Runner:
    """Runs benchmarks in this process, which has imported everything already."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self._monkeypatch = folder, monkeypatch

    def run(self, name: str, *arguments: str) -> dict[str, Any]:
        out = self.folder / f"{name}.json"
        self.call(name, "--smoke", "--out", str(out), *arguments)
        result = json.loads(out.read_text())
        assert result["params"]["benchmark"] == name
        assert result["params"]["command"].startswith("python ")
        assert {"date", "cpu", "cores", "commit"} <= result["environment"].keys()
        return result["metrics"]

    def call(self, name: str, *arguments: str) -> None:
        self._monkeypatch.setattr(sys, "argv", [f"benchmarks/{name}.py", *arguments])
        # Some have the names of folders of tests.
        self._monkeypatch.delitem(sys.modules, name, raising=False)
        import_module(name).main()


@pytest.mark.slow
def test_every_benchmark_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    images, weights = str(tmp_path / "images"), str(tmp_path / "vgg16.safetensors")
    make_demo(images, num_train=5, num_val=1)
    safetensors.torch.save_file(load_state(find_backbone("vgg16"), "random", for_features=True), weights)
    data = ("--images", images, "--layout", "folder")
    runner = Runner(tmp_path, monkeypatch)

    assert len(runner.run("ddt_heat")["kinds"]) == 2
    assert all(part["seconds"] > 0 for part in runner.run("evaluation")["parts"])
    assert [run["passes"] for run in runner.run("ddt_memory", *data)["runs"]] == [1, 1, 2, 1]
    assert runner.run("ddt_fidelity", *data, "--weights", weights)["mean_iou"] > 0.99
    assert runner.run("train_throughput", *data)["backbones"]["tf_efficientnet_lite0"]["dali"]["images_per_s"] > 0
    throughput = runner.run("ddt_throughput", *data, "--weights", weights, "--input-size", "64")
    assert not throughput["skipped"]
    assert throughput["engine_images_per_s"] > 0
    assert throughput["engine_over_ray_data"] > 0
    scaling = runner.run("ddt_scaling", "--measured", str(tmp_path / "ddt_throughput.json"))
    assert [run["parts"] for run in scaling["runs"]] == [run["classes"] for run in scaling["runs"]]
    assert len(next(run for run in scaling["runs"] if run["kind"] == "killed")["found_dead_at_s"]) == 1
    for name in ("ddt_throughput", "ddt_scaling", "ddt_memory"):
        runner.call("plots", str(tmp_path / f"{name}.json"), "--out", str(tmp_path / f"{name}.svg"))
        assert "<svg" in (tmp_path / f"{name}.svg").read_text()
