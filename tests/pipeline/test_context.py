"""What every command does with its run directory."""

import os
import shutil
from pathlib import Path

import pytest
from synthetic.configs import write_config
from synthetic.images import write_images

from psol_ray.cli.parse import parse
from psol_ray.pipeline.context import _to_yaml
from psol_ray.tables import CATALOG, RunDir
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


def test_a_stage_that_another_run_completes_meanwhile_is_not_made_again(
    indexed: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (indexed.run_dir / "catalog/_SUCCESS").stat().st_ino
    with monkeypatch.context() as patched:
        patched.setattr("psol_ray.pipeline.context.Context.is_complete", lambda *_: False)
        assert indexed.psol("index") == 2
    assert "catalog: has just been completed by another run; run the same command again" in capsys.readouterr().err
    assert indexed.psol("index") == 0
    assert (indexed.run_dir / "catalog/_SUCCESS").stat().st_ino == before


def test_other_images_of_the_same_names_are_not_taken_for_those_of_the_catalog(
    indexed: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    others = write_images(tmp_path / "others", ["blue", "red"], train=3, val=2)
    for here, there in (("red", "blue"), ("blue", "red")):
        shutil.rmtree(others / "train" / here)
        shutil.copytree(indexed.root / "train" / there, others / "train" / here)
    assert indexed.psol("boxes", "--data.root", str(others)) == 2
    assert f"data.root {others}: found other images than those that the catalog" in capsys.readouterr().err
    moved = indexed.root.rename(tmp_path / "moved")
    assert indexed.psol("boxes", "--data.root", str(moved)) == 0


def test_two_dots_behind_a_link_are_the_folder_that_it_leads_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_images(tmp_path / "store/v2/images", ["red", "blue"], train=3, val=2)
    write_images(tmp_path / "images", ["wrong"], train=2, val=2)
    (tmp_path / "link").symlink_to(tmp_path / "store/v2")
    (tmp_path / "store/v2/deep").mkdir()
    (tmp_path / "here").symlink_to(tmp_path / "store/v2/deep")
    monkeypatch.chdir(tmp_path)
    run = Run(write_config(tmp_path, root, cluster={"address": "in-process"}), tmp_path / "run", root)
    assert run.psol("index", "--data.root", "here/../images") == 0
    names = RunDir(str(run.run_dir)).stage("catalog").read(CATALOG)["class_name"].to_pylist()
    assert set(names) == {"red", "blue"}


def test_config_can_be_given_again_whatever_its_paths_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOLLAR", "/data/$b&token=abc&x")
    config = parse(["index", "--run_dir", str(tmp_path / "$$r"), "--data.root", "$DOLLAR"]).config
    assert config is not None
    (tmp_path / "config.yaml").write_text(_to_yaml(config, "auto"))
    assert parse(["index", "--config", str(tmp_path / "config.yaml")]).config == config


def test_config_holds_absolute_paths_and_no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_dir = "s3://KEY:SECRET@bucket/run?endpoint_override=http://host:9"
    config = parse(["index", "--run_dir", run_dir, "--data.root", "images"]).config
    assert config is not None
    written = _to_yaml(config, "auto")
    assert "s3://bucket/run?endpoint_override=http://host:9" in written
    assert f"root: {tmp_path}/images" in written
    assert "SECRET" not in written
