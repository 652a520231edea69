"""Stages' folders: whole or not at all, claimed by one configuration, and honest after a crash at any point."""

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest

from psol_ray.errors import UserError
from psol_ray.tables import CATALOG, Provenance, RunDir, StageDir

from .stages import NEW, OLD, TABLE, complete, files


class TestTables:
    def test_part_there_and_back_with_what_made_it(self, stage: StageDir) -> None:
        complete(stage, OLD, "part-a")
        assert stage.read(CATALOG).equals(TABLE)
        metadata = pq.read_schema(f"{stage.path}/part-a.parquet").metadata
        assert Provenance.from_json(metadata[b"psol_ray"].decode()) == OLD
        assert stage.made_by() == OLD
        assert stage.summary() == {"images": 2}

    def test_parts_are_read_in_the_order_of_their_names(self, stage: StageDir) -> None:
        stage.write_part("part-b", TABLE.slice(1), OLD)
        stage.write_part("part-a", TABLE.slice(0, 1), OLD)
        assert stage.parts() == ["part-a", "part-b"]
        assert stage.read_parts(CATALOG).equals(TABLE)

    def test_columns_asked_for_come_in_the_order_asked_for(self, stage: StageDir) -> None:
        stage.write_part("part-a", TABLE, OLD)
        assert stage.read_parts(CATALOG, ["split", "image_id"]).column_names == ["split", "image_id"]

    @pytest.mark.parametrize(
        "table",
        [
            pytest.param(TABLE.select(TABLE.column_names[::-1]), id="other order"),
            pytest.param(TABLE.append_column("more", pa.array([1, 2])), id="surplus column"),
            pytest.param(TABLE.set_column(1, "label", TABLE["label"].cast(pa.int64())), id="wider type"),
        ],
    )
    def test_somebody_elses_parquet_is_read(self, stage: StageDir, table: pa.Table) -> None:
        stage.write_part("part-a", table, OLD)
        assert stage.read_parts(CATALOG).equals(TABLE)

    @pytest.mark.parametrize(
        ("table", "told"),
        [
            pytest.param(
                TABLE.drop_columns(["split", "width"]), r"columns \['split', 'width'\] are missing", id="gone"
            ),
            pytest.param(TABLE.set_column(1, "label", pa.array(["x", "y"])), "label: int32", id="wrong type"),
        ],
    )
    def test_wrong_columns_are_named_with_the_file(self, stage: StageDir, table: pa.Table, told: str) -> None:
        stage.write_part("part-a", table, OLD)
        with pytest.raises(UserError, match=rf"part-a\.parquet: .*{told}"):
            stage.read_parts(CATALOG)

    def test_file_that_is_no_parquet_is_named(self, stage: StageDir) -> None:
        stage.write_bytes("part-a.parquet", b"not a table")
        with pytest.raises(UserError, match=r"part-a\.parquet: "):
            stage.read_parts(CATALOG)

    def test_folder_named_like_a_partition_adds_no_column(self, tmp_path: Path) -> None:
        stage = RunDir(f"{tmp_path}/label=3").stage("boxes")
        stage.write_part("part-a", TABLE, OLD)
        assert stage.read_parts(CATALOG)["label"].to_pylist() == [0, 0]

    def test_no_parts_are_an_empty_table(self, stage: StageDir) -> None:
        assert stage.read_parts(CATALOG).equals(CATALOG.empty_table())
        assert stage.parts() == []

    def test_incomplete_stage_is_not_read(self, stage: StageDir) -> None:
        stage.begin(OLD, overwrite=False)
        stage.write_part("part-a", TABLE, OLD)
        with pytest.raises(UserError, match=r"no complete boxes; run `psol boxes` first"):
            stage.read(CATALOG)

    @pytest.mark.parametrize(("name", "command"), [("catalog", "index"), ("localizer", "train localizer")])
    def test_incomplete_stage_names_the_command_that_makes_it(self, tmp_path: Path, name: str, command: str) -> None:
        with pytest.raises(UserError, match=f"run `psol {command}` first"):
            RunDir(str(tmp_path)).stage(name).require()

    def test_missing_parts_in_the_order_given(self, stage: StageDir) -> None:
        assert stage.missing(["part-b", "part-a"]) == ["part-b", "part-a"]
        stage.write_part("part-a", TABLE, OLD)
        assert stage.missing(["part-c", "part-a", "part-b"]) == ["part-c", "part-b"]


class TestAtomicity:
    def test_crash_between_write_and_move_leaves_no_part(self, stage: StageDir) -> None:
        class Crashing(pafs.LocalFileSystem):
            def move(self, src: str, dest: str) -> None:
                assert os.path.getsize(src) > 0
                raise OSError(28, f"no space left for {dest}")

        with pytest.raises(UserError, match=r"part-a.parquet cannot be written \(.*no space left"):
            StageDir(Crashing(), stage.path).write_part("part-a", TABLE, OLD)
        assert files(stage) == set()
        assert stage.missing(["part-a"]) == ["part-a"]

    def test_failed_rewrite_keeps_the_old_file(self, stage: StageDir) -> None:
        class Crashing(pafs.LocalFileSystem):
            def move(self, src: str, dest: str) -> None:
                raise OSError(28, f"no space left for {dest} from {src}")

        stage.write_bytes("metrics.jsonl", b"old")
        with pytest.raises(UserError, match="no space"):
            StageDir(Crashing(), stage.path).write_bytes("metrics.jsonl", b"new")
        assert stage.read_bytes("metrics.jsonl") == b"old"

    def test_writer_killed_in_mid_write_leaves_no_part_and_completion_sweeps_its_rest(self, stage: StageDir) -> None:
        code = f"""
import sys, time
import pyarrow.fs as pafs
from psol_ray.tables import StageDir

class Slow(pafs.LocalFileSystem):
    def move(self, src, dest):
        print("written", flush=True)
        time.sleep(60)

StageDir(Slow(), {stage.path!r}).write_bytes("part-a.parquet", b"x" * 100_000)
"""
        stage.begin(OLD, overwrite=False)
        writer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        assert writer.stdout.readline() == "written\n"
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        assert stage.parts() == []
        assert len(files(stage)) == 2  # the claim and an unfinished file
        assert stage.begin(OLD, overwrite=False) is False
        stage.complete(OLD)
        assert files(stage) == {"_STARTED", "_SUCCESS"}

    @pytest.mark.parametrize("data", [None, b"", b"cut"])
    def test_result_that_is_gone_or_cut_short_makes_the_stage_incomplete(
        self, stage: StageDir, data: bytes | None
    ) -> None:
        complete(stage, OLD, "part-a", "part-b")
        os.remove(f"{stage.path}/part-b.parquet")
        if data is not None:
            stage.write_bytes("part-b.parquet", data)
        assert stage.damaged() == ["part-b.parquet"]
        assert not stage.is_complete(OLD)
        with pytest.raises(UserError, match=r"part-b\.parquet missing or of another size; run `psol boxes` first"):
            stage.read(CATALOG)
        assert stage.begin(OLD, overwrite=False) is False
        assert stage.missing(["part-a", "part-b"]) == ["part-b"]
        complete(stage, OLD, "part-b")
        assert len(stage.read(CATALOG)) == 2 * len(TABLE)

    def test_part_of_another_configuration_is_missing_and_not_read(self, stage: StageDir) -> None:
        stage.begin(OLD, overwrite=False)
        stage.write_part("part-a", TABLE, OLD)
        stage.write_part("part-b", TABLE, NEW)
        assert stage.missing(["part-a", "part-b"]) == ["part-b"]
        stage.complete(OLD)
        with pytest.raises(UserError, match=r"part-b\.parquet: made by another .* delete this file"):
            stage.read(CATALOG)
        os.remove(f"{stage.path}/part-b.parquet")  # as told
        complete(stage, OLD, "part-b")
        assert len(stage.read(CATALOG)) == 2 * len(TABLE)

    def test_part_that_is_no_table_is_missing(self, stage: StageDir) -> None:
        stage.begin(OLD, overwrite=False)
        stage.write_bytes("part-a.parquet", b"PAR1 cut short")
        assert stage.missing(["part-a"]) == ["part-a"]

    def test_part_that_does_not_say_what_made_it_is_taken(self, stage: StageDir) -> None:
        stage.begin(OLD, overwrite=False)
        pq.write_table(TABLE, f"{stage.path}/part-a.parquet")
        assert stage.missing(["part-a"]) == []
        stage.complete(OLD)
        assert stage.read(CATALOG).equals(TABLE)

    def test_discards_files_and_folders_by_their_names_beginning(self, stage: StageDir) -> None:
        for name in ("temporary_a/file", "temporary.json", "kept_temporary_b"):
            stage.write_bytes(name, b"")
        stage.discard("temporary")
        assert files(stage) == {"kept_temporary_b"}

    def test_discards_nothing_of_a_stage_that_is_not_there(self, stage: StageDir) -> None:
        stage.discard("temporary")
        assert files(stage) == set()

    def test_part_written_again_replaces_the_first(self, stage: StageDir) -> None:
        stage.write_part("part-a", TABLE.slice(1), NEW)
        stage.write_part("part-a", TABLE, OLD)
        assert files(stage) == {"part-a.parquet"}
        assert stage.read_parts(CATALOG).equals(TABLE)


class TestFilesystems:
    def test_relative_path_is_made_absolute(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        assert RunDir("runs/../runs/x/").location == str(tmp_path / "runs/x")

    @pytest.mark.parametrize(
        ("uri", "location"),
        [
            pytest.param("file:///tmp/a%20b/", "/tmp/a b", id="file"),
            pytest.param("s3://key:secret@bucket/runs/x/?region=us-east-1", "bucket/runs/x", id="s3"),
            pytest.param("s3://key:secret@bucket/?region=us-east-1", "bucket", id="s3 bucket"),
        ],
    )
    def test_uri_is_a_filesystem_and_a_path(self, uri: str, location: str) -> None:
        assert RunDir(uri).location == location
        assert RunDir(uri).stage("boxes").path == f"{location}/boxes"

    def test_stage_on_s3_travels_to_actors(self) -> None:
        stage = RunDir("s3://key:secret@bucket/runs/x?region=us-east-1").stage("boxes")
        back = pickle.loads(pickle.dumps(stage))
        assert back == stage
        assert back.fs.type_name == "s3"

    @pytest.mark.parametrize("uri", ["floppy://a/b", "hdfs://nowhere.invalid/x"])
    def test_uri_that_cannot_be_opened_is_the_users_mistake(self, uri: str) -> None:
        with pytest.raises(UserError, match=r"^run_dir: .*give a local path, or a URI such as s3://"):
            RunDir(uri).location  # noqa: B018

    def test_everything_works_on_a_filesystem_that_is_not_local(self, tmp_path: Path) -> None:
        fs = pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem())
        stage = StageDir(fs, "run/boxes")
        complete(stage, OLD, "part-a")
        assert stage.read(CATALOG).equals(TABLE)
        assert stage.begin(NEW, overwrite=True) is False
        assert stage.parts() == []

    def test_text_files_of_the_run(self, tmp_path: Path) -> None:
        run_dir = RunDir(str(tmp_path / "new"))
        assert run_dir.read_text("config.yaml") is None
        run_dir.write_text("config.yaml", "größe: 1")
        assert run_dir.read_text("config.yaml") == "größe: 1"
        assert os.listdir(tmp_path / "new") == ["config.yaml"]
