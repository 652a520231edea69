"""What every command does with its run directory."""

import os
from pathlib import Path

import pytest
from synthetic.configs import write_config
from synthetic.images import write_images

from psol_ray.cli.parse import parse
from psol_ray.pipeline.context import _to_yaml
from psol_ray.tables import RunDir
from psol_ray.tables.lease import hold

from .conftest import Run


@pytest.fixture
def indexed(tmp_path: Path) -> Run:
    """A run with nothing but a catalog."""
    root = write_images(tmp_path / "images", ["red", "blue"], train=3, val=2)
    run = Run(write_config(tmp_path, root, cluster={"address": "in-process"}), tmp_path / "run", root)
    assert run.psol("index") == 0
    return run


def test_a_second_run_is_told_who_makes_the_stage(indexed: Run, capsys: pytest.CaptureFixture[str]) -> None:
    catalog = RunDir(str(indexed.run_dir)).stage("catalog")
    with hold(catalog):
        assert indexed.psol("index", "--overwrite") == 2
        told = capsys.readouterr().err
        assert f"{catalog.path}: is being made by" in told
        assert f"(process {os.getpid()}) since 20" in told
        assert indexed.psol("index") == 0  # complete, and nobody need make it
    assert indexed.psol("index", "--overwrite") == 0


def test_a_result_that_is_gone_is_told_and_made_again_as_the_message_says(
    indexed: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    (indexed.run_dir / "catalog/part-00000.parquet").unlink()
    assert indexed.psol("boxes") == 2
    assert "found no complete catalog, part-00000.parquet missing or of another size; run `psol index` first" in (
        capsys.readouterr().err
    )
    assert indexed.psol("index") == 0
    assert "made again: part-00000.parquet, missing or of another size" in capsys.readouterr().err
    assert indexed.psol("boxes") == 0


def test_config_holds_absolute_paths_and_no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_dir = "s3://KEY:SECRET@bucket/run?endpoint_override=http://host:9"
    config = parse(["index", "--run_dir", run_dir, "--data.root", "images"]).config
    assert config is not None
    written = _to_yaml(config)
    assert "s3://bucket/run?endpoint_override=http://host:9" in written
    assert f"root: {tmp_path}/images" in written
    assert "SECRET" not in written
