"""Who may make a stage, and when it is complete."""

import os
from pathlib import Path

import pyarrow.fs as pafs
import pytest

from psol_ray.errors import UserError
from psol_ray.tables import CATALOG, Provenance, RunDir, StageDir

from .stages import NEW, OLD, TABLE, complete, files


@pytest.mark.parametrize("content", [b"", b'{"stage": "boxes", "fing', b"\0" * 200])
class TestAfterACrash:
    """What a machine that lost its power has left of small files."""

    def test_a_success_that_cannot_be_read_is_none(self, stage: StageDir, content: bytes) -> None:
        complete(stage, OLD, "part-a")
        stage.write_bytes("_SUCCESS", content)
        assert stage.made_by() is None
        with pytest.raises(UserError, match=r"found no complete boxes; run `psol boxes` first"):
            stage.require()
        assert stage.begin(OLD, overwrite=False) is False
        assert files(stage) == {"_STARTED", "part-a.parquet"}  # its parts are as good as before
        stage.complete(OLD)
        assert stage.is_complete(OLD)

    def test_a_claim_that_cannot_be_read_is_that_of_the_success(self, stage: StageDir, content: bytes) -> None:
        complete(stage, OLD, "part-a")
        stage.write_bytes("_STARTED", content)
        assert stage.read(CATALOG).equals(TABLE)
        assert stage.begin(OLD, overwrite=False) is True


def test_a_table_that_is_damaged_inside_says_what_to_do(stage: StageDir) -> None:
    complete(stage, OLD, "part-a")
    part = Path(stage.path, "part-a.parquet")
    content = bytearray(part.read_bytes())
    content[4:400] = b"\xff" * 396
    part.write_bytes(content)
    with pytest.raises(
        UserError,
        match=r"part-a\.parquet: found no table of image_id: string, .*; delete this file, and run `psol boxes` ",
    ):
        stage.read(CATALOG)


def test_a_stage_is_not_complete_while_it_is_emptied(stage: StageDir) -> None:
    complete(stage, OLD, "part-a")
    stage.write_bytes("_EMPTYING", b"")
    assert not stage.is_complete(OLD)
    assert stage.begin(OLD, overwrite=False) is False
    assert files(stage) == {"_STARTED"}


def test_messages_name_the_command_that_made_the_stage(stage: StageDir) -> None:
    imported = Provenance("boxes", {}, {}, details={"command": "import"})
    complete(stage, imported, "part-a")
    os.remove(f"{stage.path}/part-a.parquet")
    with pytest.raises(UserError, match=r"part-a\.parquet missing or of another size; run `psol import` first$"):
        stage.require()


class TestClaims:
    def test_complete_stage_of_the_same_configuration_is_left_alone(self, stage: StageDir) -> None:
        assert stage.begin(OLD, overwrite=False) is False
        assert stage.begin(OLD, overwrite=False) is False
        complete(stage, OLD, "part-a")
        before = files(stage)
        assert stage.begin(OLD, overwrite=False) is True
        assert files(stage) == before

    def test_overwrite_makes_a_complete_stage_of_the_same_configuration_anew(self, stage: StageDir) -> None:
        complete(stage, OLD, "part-a")
        assert stage.begin(OLD, overwrite=True) is False
        assert files(stage) == {"_STARTED"}

    @pytest.mark.parametrize("finished", [True, False])
    def test_other_configuration_is_refused_with_both_fingerprints_and_the_field(
        self, stage: StageDir, finished: bool
    ) -> None:
        stage.begin(OLD, overwrite=False)
        stage.write_part("part-a", TABLE, OLD)
        if finished:
            stage.complete(OLD)
        before = files(stage)
        with pytest.raises(UserError) as refusal:
            stage.begin(NEW, overwrite=False)
        message = str(refusal.value)
        assert all(word in message for word in (stage.path, OLD.fingerprint, NEW.fingerprint, "--overwrite"))
        assert 'backbone: "vgg16" there, "resnet50" now' in message
        assert files(stage) == before

    def test_overwrite_empties_the_stage_and_nothing_else(self, stage: StageDir, tmp_path: Path) -> None:
        complete(stage, OLD, "part-a")
        os.makedirs(f"{stage.path}/checkpoints/1")
        RunDir(str(tmp_path)).write_text("config.yaml", "x: 1")
        assert stage.begin(NEW, overwrite=True) is False
        assert files(stage) == {"_STARTED"}
        assert stage.made_by() is None
        assert RunDir(str(tmp_path)).read_text("config.yaml") == "x: 1"

    def test_claim_of_a_run_that_made_nothing_is_replaced(self, stage: StageDir) -> None:
        stage.begin(OLD, overwrite=False)
        assert stage.begin(NEW, overwrite=False) is False
        stage.write_part("part-a", TABLE, NEW)
        with pytest.raises(UserError, match=NEW.fingerprint):
            stage.begin(OLD, overwrite=False)

    def test_parts_that_nobody_claimed_are_not_taken_for_ours(self, stage: StageDir) -> None:
        stage.write_part("part-a", TABLE, OLD)
        with pytest.raises(UserError, match="no run has claimed"):
            stage.begin(NEW, overwrite=False)
        assert stage.begin(NEW, overwrite=True) is False
        assert stage.parts() == []

    def test_complete_stage_that_lost_its_claim_is_not_of_another_configuration(self, stage: StageDir) -> None:
        complete(stage, OLD, "part-a")
        os.remove(f"{stage.path}/_STARTED")
        with pytest.raises(UserError, match=OLD.fingerprint):
            stage.begin(NEW, overwrite=False)
        assert stage.begin(OLD, overwrite=False) is True

    @pytest.mark.parametrize("made_by", [OLD, NEW])
    @pytest.mark.parametrize("survives", range(6))
    def test_what_an_overwrite_that_was_cut_short_has_left_is_nobodys_result(
        self, stage: StageDir, survives: int, made_by: Provenance
    ) -> None:
        complete(stage, OLD, "part-a", "part-b", "part-c")
        deleted: list[str] = []

        class CutShort(pafs.LocalFileSystem):
            def delete_file(self, path: str) -> None:
                if len(deleted) == survives:
                    raise KeyboardInterrupt
                deleted.append(path)
                super().delete_file(path)

        with pytest.raises(KeyboardInterrupt):
            StageDir(CutShort(), stage.path).begin(made_by, overwrite=True)
        assert stage.made_by() is None
        assert stage.begin(made_by, overwrite=False) is False
        assert files(stage) == {"_STARTED"}

    def test_place_that_cannot_be_written_is_the_users_mistake(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(UserError, match="cannot be written"):
            RunDir(f"{tmp_path}/file").stage("boxes").begin(OLD, overwrite=False)
