"""What a machine has to see before it works on a run.

Paths below `/proc/self/cwd` are other folders in other processes, as those of a machine without the mount are.
"""

import os
import pickle
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow.fs as pafs
import pytest
import ray
from synthetic.logs import messages

from psol_ray.distributed import node_checks as module
from psol_ray.distributed.cluster import find_nodes
from psol_ray.distributed.node_checks import NodeChecks, Probe, UnfitNode, checked_nodes, exclude
from psol_ray.distributed.shares import Node
from psol_ray.distributed.train_worker import train_worker
from psol_ray.errors import UserError
from psol_ray.preflight import gpus
from psol_ray.tables import StageDir

# Workers cannot import tests.
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])

IMAGES = ["train/cat/1.jpg", "train/cat/2.jpg"]


def addresses_in(folder: Path) -> list[str]:
    return [f"{folder}/images/{image}" for image in IMAGES]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with images and a run directory, in which this process works and no other."""
    (tmp_path / "images" / "train" / "cat").mkdir(parents=True)
    for image in IMAGES:
        (tmp_path / "images" / image).touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, "_SIGHT_SECONDS", 0)
    return tmp_path


def stage_in(folder: Path | str) -> StageDir:
    return StageDir(pafs.LocalFileSystem(), f"{folder}/run/boxes")


@pytest.fixture
def checks(here: Path) -> Iterator[NodeChecks]:
    with checked_nodes(stage_in(here), str(here / "images"), addresses_in(here), gpu=False) as checks:
        yield checks


def test_a_machine_that_sees_everything_has_no_fault(checks: NodeChecks) -> None:
    assert checks.probe.find_fault() is None


def test_a_folder_of_the_same_name_is_another_one(checks: NodeChecks, here: Path) -> None:
    shutil.rmtree(here / "run")
    (here / "run" / "boxes").mkdir(parents=True)
    assert checks.probe.find_fault() == f"{here}/run/boxes there is not the folder of this run; mount run_dir on it"


def test_data_that_are_not_mounted(checks: NodeChecks, here: Path) -> None:
    shutil.rmtree(here / "images")
    assert checks.probe.find_fault() == f"data.root {here}/images is no folder there; mount the images on it"
    (here / "images").mkdir()  # a mount point with nothing on it
    fault = checks.probe.find_fault()
    assert fault == (
        f"data.root {here}/images there lacks images of the catalog"
        f" ({here}/images/{IMAGES[0]}, {here}/images/{IMAGES[1]}: No such file or directory); mount them, or let it"
        " read them"
    )


def test_what_the_driver_does_not_see_is_asked_of_nobody(here: Path) -> None:
    (here / "images" / IMAGES[0]).unlink()
    with checked_nodes(stage_in(here), str(here / "images"), addresses_in(here), gpu=False) as checks:
        assert checks.probe.addresses == (f"{here}/images/{IMAGES[1]}",)
        assert checks.probe.find_fault() is None


@pytest.mark.skipif(os.path.exists("/proc/driver/nvidia"), reason="has a driver")
def test_gpus_without_a_driver(checks: NodeChecks) -> None:
    assert checks.probe.find_fault(gpu=True) == (
        "Ray lends GPUs of it, and NVIDIA's driver does not work there; see `nvidia-smi` on it"
    )


def test_the_driver_is_asked_for_all_gpus_also_where_ray_shows_none(
    checks: NodeChecks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As cuInit does, which finds none with this variable empty."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(gpus, "_CUDA", "import os, sys; sys.exit('CUDA_VISIBLE_DEVICES' in os.environ and 100)")
    assert checks.probe.find_fault(gpu=True) is None


def test_a_driver_that_hangs_is_a_fault(checks: NodeChecks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "_CUDA", "import time; time.sleep(60)")
    monkeypatch.setattr(gpus, "_DRIVER_SECONDS", 1.0)
    fault = checks.probe.find_fault(gpu=True) or ""
    assert fault.startswith(
        "Ray lends GPUs of it, and NVIDIA's driver there has not answered for 1 s; see `nvidia-smi`"
    )


def test_nothing_of_it_stays_in_the_run_directory(here: Path) -> None:
    with checked_nodes(stage_in(here), str(here / "images"), addresses_in(here), gpu=False):
        (file,) = (here / "run" / "boxes").iterdir()
        # Like a part that is not finished, so that completing the stage deletes what a killed driver left.
        assert file.name.startswith(".")
        assert file.name.endswith(".tmp")
    assert not list((here / "run" / "boxes").iterdir())


@pytest.mark.usefixtures("cluster")
class TestNodes:
    def test_those_that_see_everything_are_fit(self, checks: NodeChecks) -> None:
        nodes = find_nodes()
        assert checks.require(nodes) == nodes
        assert checks.fit(nodes) == nodes
        assert checks.label_selector() == {}

    def test_one_that_has_not_answered_waits_for_its_turn(self, checks: NodeChecks) -> None:
        nodes = find_nodes()
        assert checks.label_selector() == {}
        fit = checks.fit(nodes)  # asked at the first time, and not waited for
        assert fit == []
        assert checks.label_selector() == exclude([node.node_id for node in nodes])
        while not (fit := checks.fit(nodes)):
            pass
        assert fit == nodes
        assert checks.label_selector() == {}

    @pytest.mark.parametrize(
        ("run", "images", "reason"),
        [
            ("/proc/self/cwd", "{here}/images", "/proc/self/cwd/run/boxes there is not the folder of this run"),
            ("{here}", "/proc/self/cwd/images", "data.root /proc/self/cwd/images is no folder there"),
        ],
    )
    def test_one_that_sees_something_else_gets_no_work(
        self, here: Path, run: str, images: str, reason: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        stage, root = stage_in(run.format(here=here)), images.format(here=here)
        with checked_nodes(stage, root, [f"{root}/{image}" for image in IMAGES], gpu=False) as checks:
            with pytest.raises(UserError, match=rf"no machine of the Ray cluster can work on this run \(.*{reason}"):
                checks.require(find_nodes())
            assert checks.fit(find_nodes()) == []
            (node,) = find_nodes()
            assert checks.label_selector() == exclude([node.node_id]) == {"ray.io/node-id": f"!in({node.node_id})"}
        (line,) = capsys.readouterr().err.splitlines()
        assert " gets no work: " in line
        assert reason in line

    def test_one_that_was_unfit_is_asked_again_and_gets_work_once_it_is_fit(
        self, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(module, "_ASK_AGAIN_SECONDS", 0.0)
        nodes = find_nodes()
        with checked_nodes(stage_in(here), str(here / "images"), addresses_in(here), gpu=False) as checks:
            (here / "images").rename(here / "not mounted yet")
            with pytest.raises(UserError, match="is no folder there"):
                checks.require(nodes)
            with pytest.raises(UserError, match="is no folder there"):
                checks.require(nodes)
            (here / "images").mkdir()
            with pytest.raises(UserError, match="lacks images"):
                checks.require(nodes)
            (here / "images").rmdir()
            (here / "not mounted yet").rename(here / "images")
            assert checks.require(nodes) == nodes
            assert checks.label_selector() == {}
        told = [line.partition(") gets ")[2] for line in messages(capsys.readouterr().err)]
        assert [line.partition(":")[0] for line in told] == ["no work", "no work", "work from now on"]

    def test_where_none_answers_it_is_told_and_given_up(
        self, checks: NodeChecks, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(module, "_LATE_SECONDS", 0.5)
        monkeypatch.setattr(module, "_LIMIT_SECONDS", 1.5)
        monkeypatch.setattr(module, "_find_fault", lambda *_: time.sleep(60))
        with pytest.raises(UserError, match=r"did not answer within 2 s whether run_dir and data.root are there"):
            checks.require(find_nodes())
        for answer in checks._asked:
            ray.cancel(answer, force=True)
        told = "Machines have not said whether run_dir and data.root are there for 1 s; still waiting for "
        assert capsys.readouterr().err.count(told) == 1

    @pytest.mark.parametrize("fails", [1, 2, 9])
    def test_one_that_cannot_be_asked_is_asked_again_in_seconds(
        self,
        checks: NodeChecks,
        here: Path,
        fails: int,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        def find_fault(probe: Probe, gpu: bool) -> str | None:
            with (here / "asked").open("a") as file:
                file.write(".")
            if len((here / "asked").read_text()) <= fails:
                raise ModuleNotFoundError("No module named 'being_unpacked'")
            return probe.find_fault(gpu=gpu)

        monkeypatch.setattr(module, "_find_fault", find_fault)
        monkeypatch.setattr(module, "_AFTER_ERROR_SECONDS", 0.5)
        nodes = find_nodes()
        while not checks._errors:
            assert checks.fit(nodes) == []
        assert checks.label_selector() == exclude([node.node_id for node in nodes])
        if fails < 3:
            assert checks.require(nodes) == nodes
            assert checks.label_selector() == {}
            assert capsys.readouterr().err == ""
        else:
            with pytest.raises(UserError, match=r"cannot say whether it sees .* \(No module named 'being_unpacked'\)"):
                checks.require(nodes)
        assert len((here / "asked").read_text()) == min(fails + 1, 3)

    def test_one_that_was_unfit_is_not_asked_all_the_time(self, here: Path) -> None:
        with checked_nodes(stage_in(here), str(here / "images"), addresses_in(here), gpu=False) as checks:
            for node in find_nodes():
                checks.note_fault(node.node_id, "no mount")
            with pytest.raises(UserError, match="no mount"):
                checks.require(find_nodes())

    def test_a_training_worker_looks_for_itself(self, here: Path) -> None:
        with pytest.raises(
            UnfitNode, match=r"started on \S+, which cannot work on this run: data.root \S+ is no fol"
        ) as raised:
            train_worker({"probe": Probe(str(here / "nowhere"))})
        travelled = pickle.loads(pickle.dumps(raised.value))
        assert [travelled.node_id] == [node.node_id for node in find_nodes()]
        assert travelled.fault == f"data.root {here}/nowhere is no folder there; mount the images on it"

    def test_where_gpus_are_wanted_a_node_without_one_does_not_count(self, here: Path) -> None:
        with checked_nodes(stage_in(here), str(here / "images"), addresses_in(here), gpu=True) as checks:
            (node,) = find_nodes()
            assert checks.fit([node]) == []
            without_driver = Node(node.node_id, node.num_cpus, num_gpus=1)
            with pytest.raises(UserError, match="NVIDIA's driver does not work there"):
                checks.require([node, without_driver])
