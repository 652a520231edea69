"""What a command loads on a run that is complete: neither torch nor Ray."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Run

_HEAVY = {"nvidia", "ray", "tensorboardX", "timm", "torch", "torchvision"}


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["index"],
        ["boxes"],
        ["train", "localizer"],
        ["train", "classifier"],
        ["predict"],
        ["evaluate"],
        ["report"],
        ["export", "--export.out", "OUT"],
    ],
    ids=" ".join,
)
def test_loads_neither_torch_nor_ray(copy: Run, tmp_path: Path, arguments: list[str]) -> None:
    flags = ["--config", str(copy.config), "--run_dir", str(copy.run_dir)]
    words = [str(tmp_path / "out") if word == "OUT" else word for word in arguments]
    program = (
        "import json, sys; from psol_ray.cli import main; code = main(sys.argv[1:]);"
        " print(); print(json.dumps([code, *sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", program, *words, *flags], capture_output=True, text=True, check=True)
    code, *modules = json.loads(done.stdout.splitlines()[-1])
    assert code == 0, done.stderr
    assert {module.partition(".")[0] for module in modules}.isdisjoint(_HEAVY)
