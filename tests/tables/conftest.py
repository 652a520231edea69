"""What tests of tables share."""

from pathlib import Path

import pytest

from psol_ray.tables import RunDir, StageDir


@pytest.fixture
def stage(tmp_path: Path) -> StageDir:
    return RunDir(str(tmp_path)).stage("boxes")
