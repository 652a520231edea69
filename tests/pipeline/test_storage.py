"""Data, results and weights in an object store: the tables of a run on a disk, from files and from shards."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
import safetensors.torch
import torch
from gcs import Bucket
from s3 import Store, environment, put_folder
from synthetic.configs import write_config
from synthetic.images import cut_short, write_images

from psol_ray.cli import main
from psol_ray.models.backbones import find_backbone
from psol_ray.models.weights import load_state
from psol_ray.tables import BOXES, CATALOG, PREDICTIONS, RunDir

from .conftest import ON_RAY, Run

SCHEMAS = {"catalog": CATALOG, "boxes": BOXES, "predictions": PREDICTIONS}


@pytest.fixture(scope="module")
def by_path_alone(server: Store) -> Iterator[Store]:
    """The server, found by the environment, as people have it."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(server.port).items():
            patch.setenv(name, value)
        yield server


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run on a disk whose first network comes from a file, and what it is made of."""
    folder = tmp_path_factory.mktemp("local")
    root = write_images(folder / "images", ["red", "blue"], train=5, val=2)
    cut_short(root / "train/red/1.jpg")
    # One that is no JPEG, and so goes another way.
    picture = (root / "train/blue/0.jpg").read_bytes()
    (root / "train/blue/0.jpg").write_bytes(picture[:2] + b"\xff\xfe\x00\x04hi" + picture[2:])
    weights = folder / "weights.safetensors"
    backbone = find_backbone("test_resnet")
    safetensors.torch.save_file(load_state(backbone, "random", for_features=True), weights)
    boxes = {"backbone": "test_resnet", "weights": str(weights), "input_size": 96, "precision": "float32"}
    run = Run(write_config(folder, root, boxes=boxes), folder / "run", root)
    assert run.psol("run") == 0
    return run


@pytest.fixture(scope="module")
def in_bucket(local: Run, by_path_alone: Store) -> Iterator[Store]:
    """Images as files and as shards, and weights, in the bucket."""
    put_folder(by_path_alone.port, local.root, "bucket/images")
    weights = local.root.parent / "weights.safetensors"
    by_path_alone.put("weights.safetensors", weights.read_bytes())
    assert local.psol("pack", "--pack.out", "s3://bucket/packed") == 0
    yield by_path_alone
    # The server outlives this: tests of other modules may run between two of this one, which then packs other images.
    by_path_alone.delete_folder("packed")


def table(run_dir: str, stage: str) -> pa.Table:
    return RunDir(run_dir).stage(stage).read(SCHEMAS[stage]).sort_by("image_id")


def assert_same(run_dir: str, local: Run) -> None:
    for stage in SCHEMAS:
        # As text, which takes NaN for NaN.
        assert repr(table(run_dir, stage).to_pydict()) == repr(table(str(local.run_dir), stage).to_pydict()), stage
    there = json.loads(RunDir(run_dir).read_text("metrics.json") or "")
    assert there == json.loads((local.run_dir / "metrics.json").read_text())


@pytest.mark.slow
@pytest.mark.parametrize("flags", [("images", "folder"), ("packed", "webdataset")])
def test_a_run_in_a_store_makes_the_tables_of_one_on_a_disk(
    local: Run, in_bucket: Store, flags: tuple[str, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder, layout = flags
    run_dir = f"s3://bucket/run_{layout}"
    # The store fails now and then, and is slow.
    in_bucket.failing.write_text(json.dumps({"every": 23, "seconds": 0.01}))
    try:
        settings = ("--data.root", f"s3://bucket/{folder}", "--data.layout", layout)
        weights = ("--boxes.weights", "s3://bucket/weights.safetensors")
        assert replace(local, run_dir=run_dir).psol("run", *settings, *weights) == 0  # type: ignore[arg-type]
    finally:
        in_bucket.failing.unlink()
    assert_same(run_dir, local)
    page = RunDir(run_dir).stage("report").read_text("index.html")
    assert page is not None
    assert page.count("data:image/jpeg") == (local.run_dir / "report/index.html").read_text().count("data:image/jpeg")


@pytest.mark.slow
def test_workers_of_a_cluster_read_the_store_themselves(
    local: Run, in_bucket: Store, cluster: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cluster
    # Workers were started without these variables: all is in the addresses.
    run_dir = in_bucket.uri("run_ray")
    run = replace(local, run_dir=run_dir)  # type: ignore[arg-type]
    for command in ("index", "boxes", "train localizer"):
        assert run.psol(command, "--data.root", in_bucket.uri("packed"), "--data.layout", "webdataset", *ON_RAY) == 0
    assert repr(table(run_dir, "boxes").to_pydict()) == repr(table(str(local.run_dir), "boxes").to_pydict())
    trained = RunDir(run_dir).stage("localizer").read_bytes("model.safetensors")
    expected = safetensors.torch.load_file(local.run_dir / "localizer/model.safetensors")
    for name, tensor in safetensors.torch.load(trained or b"").items():
        assert torch.equal(tensor, expected[name]), name
    shown = capsys.readouterr()
    assert "secret" not in shown.out + shown.err
    assert "secret" not in (RunDir(run_dir).read_text("config.yaml") or "")


def test_class_folders_and_results_in_googles_store(local: Run, gcs: Bucket) -> None:
    gcs.put_folder(local.root, "images")
    run_dir = gcs.uri("run")
    run = replace(local, run_dir=run_dir)  # type: ignore[arg-type]
    root = ("--data.root", gcs.uri("images"))
    assert run.psol("index", *root) == 0
    assert run.psol("boxes", *root) == 0
    for stage in ("catalog", "boxes"):
        columns = [name for name in SCHEMAS[stage].names if name != "modified"]
        there, here = table(run_dir, stage), table(str(local.run_dir), stage)
        assert repr(there.select(columns).to_pydict()) == repr(here.select(columns).to_pydict()), stage
    assert run.psol("boxes", *root, "--boxes.input_size", "64") == 2
    assert run.psol("boxes", *root, "--boxes.input_size", "64", "--overwrite") == 0
    assert RunDir(run_dir).stage("boxes").made_by() is not None


def test_shards_on_a_disk_and_a_run_that_goes_on(
    local: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert local.psol("pack", "--pack.out", str(tmp_path / "shards")) == 0
    out = capsys.readouterr().out
    assert f"14 images, 0.00 GB, in 2 shards; read them with --data.root {tmp_path}/shards" in out
    run = replace(local, run_dir=tmp_path / "run")
    shards = ("--data.root", str(tmp_path / "shards"), "--data.layout", "webdataset")
    assert run.psol("index", *shards) == 0
    assert run.psol("boxes", *shards) == 0
    # Where the shards lie is not what was made.
    os.rename(tmp_path / "shards", tmp_path / "moved")
    shards = ("--data.root", str(tmp_path / "moved"), "--data.layout", "webdataset")
    assert run.psol("boxes", *shards) == 0
    assert run.psol("index", *shards) == 0
    assert "complete already" in capsys.readouterr().out
    assert repr(table(str(run.run_dir), "boxes").to_pydict()) == repr(table(str(local.run_dir), "boxes").to_pydict())


def test_a_shard_that_was_cut_short_since_is_no_fault_of_its_images(
    local: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert local.psol("pack", "--pack.out", str(tmp_path / "shards")) == 0
    run = replace(local, run_dir=tmp_path / "run")
    flags = ("--data.root", str(tmp_path / "shards"), "--data.layout", "webdataset", "--data.max_unreadable", "0.1")
    assert run.psol("index", *flags) in (0, 3)
    whole = (tmp_path / "shards/train-00000.tar").read_bytes()
    (tmp_path / "shards/train-00000.tar").write_bytes(whole[: len(whole) // 2])
    capsys.readouterr()
    assert run.psol("boxes", *flags) == 2
    assert "images cannot be opened" in (error := capsys.readouterr().err)
    assert "the shard ends before it; copy the shard anew" in error
    (tmp_path / "shards/train-00000.tar").write_bytes(whole)
    assert run.psol("boxes", *flags) in (0, 3)
    assert repr(table(str(run.run_dir), "boxes").to_pydict()) == repr(table(str(local.run_dir), "boxes").to_pydict())


def test_pack_needs_a_place(local: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert local.psol("pack") == 2
    assert "pack.out: found nothing, expected where the shards are to go" in capsys.readouterr().err


@pytest.mark.usefixtures("by_path_alone")
@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("s3://bucket/none", "does not exist, expected a folder of images in that store"),
        ("s3://nosuchbucket/x", "data.root 's3://nosuchbucket/x'"),
        ("foo://bucket/x", "give a local path, or a URI such as s3://bucket/path"),
    ],
)
def test_a_wrong_address_of_data_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], address: str, message: str
) -> None:
    assert main(["index", "--run_dir", str(tmp_path), "--data.root", address]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
