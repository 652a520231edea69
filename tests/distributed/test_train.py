"""Starting a training again after faults, without a cluster."""

from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray.exceptions import ActorDiedError, RayTaskError
from ray.train import ControllerError, TrainingFailedError
from ray.train.v2._internal.exceptions import WorkerGroupStartupTimeoutError
from ray.util.placement_group import placement_group, remove_placement_group
from synthetic.logs import messages

from psol_ray.distributed import train as module
from psol_ray.distributed.cluster import WorkerPlan
from psol_ray.distributed.groups import group_ids, remove_groups_since
from psol_ray.distributed.metrics import TrainingMetrics
from psol_ray.distributed.node_checks import NodeChecks, Probe, UnfitNode, exclude
from psol_ray.errors import UserError
from psol_ray.log import Subject
from psol_ray.work.progress import ProgressTracker


class Fails(TrainingFailedError):
    """As Ray Train raises it: with what each worker raised."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.worker_failures = {0: cause}


SETUP: Any = SimpleNamespace(
    made_by=SimpleNamespace(stage="localizer"),
    config=SimpleNamespace(batch_size=8),
    stage=SimpleNamespace(address="run/localizer", read_bytes=lambda _: None),
)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Trains, with these outcomes of one attempt after the other, and as many workers as are there at each.

    Returns the workers of each attempt.
    """

    def run(
        outcomes: list[Exception | None],
        max_failures: int,
        workers: list[int] | None = None,
        checks: NodeChecks | None = None,
        can_grow: bool = False,
    ) -> list[int]:
        attempts: list[int] = []

        def make_plan(*, has_begun: bool) -> WorkerPlan:
            # A group that has found no room has not begun.
            assert has_begun == any(outcome is not LATE for outcome in outcomes[: len(attempts)])
            return WorkerPlan(1 if workers is None else workers[len(attempts)], 1, 0, can_grow=can_grow)

        class Attempt:
            def __init__(self, plan: WorkerPlan) -> None:
                self.plan = plan

            def fit(self) -> None:
                attempts.append(self.plan.num_workers)
                outcome = outcomes[len(attempts) - 1]
                if outcome is not None:
                    raise outcome

        monkeypatch.setattr(module, "_make_trainer", lambda _, plan, *__: Attempt(plan))
        monkeypatch.setattr(module, "group_ids", set)
        monkeypatch.setattr(module, "remove_groups_since", lambda _: None)
        module.train(SETUP, make_plan, ProgressTracker(), max_failures, checks)  # type: ignore[arg-type]
        return attempts

    return run


FAULT = Fails(RuntimeError("a machine is gone"))
LATE = ControllerError(WorkerGroupStartupTimeoutError(3))


@pytest.mark.parametrize("faults", [0, 1, 3])
def test_goes_on_after_as_many_faults_as_allowed(run: Any, faults: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(run([FAULT] * faults + [None], 3)) == faults + 1
    assert capsys.readouterr().err.count("a machine is gone); going on from the last checkpoint") == faults


def test_a_controller_whose_process_is_killed_is_a_fault_like_others(
    run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([ActorDiedError(), None], max_failures=1) == [1, 1]
    (line,) = messages(capsys.readouterr().err)
    assert line.startswith("training failed (The actor died unexpectedly")
    with pytest.raises(UserError, match="training failed 2 times"):
        run([ActorDiedError(), ActorDiedError()], max_failures=1)


def test_a_controller_that_cannot_begin_is_raised_with_its_traceback(run: Any) -> None:
    cause = RayTaskError("TrainController.__init__", "its traceback", ValueError("broken"))
    with pytest.raises(ActorDiedError, match="its traceback"):
        run([ActorDiedError(cause)], max_failures=3)


def test_every_attempt_is_planned_anew(run: Any) -> None:
    """Eight images a step are shared by three workers, too."""
    assert run([FAULT, FAULT, None], 3, [4, 3, 1]) == [4, 3, 1]


def test_a_group_without_room_is_no_fault_and_tells_what_it_waits_for(
    run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([LATE, LATE, None], 0, [3, 3, 2]) == [3, 3, 2]
    told = capsys.readouterr().err
    assert told.count("training has waited for room for 3 workers of 1 CPUs each for ") == 2
    assert "see `ray status`" in told


def test_a_group_that_never_has_room_is_given_up(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_START_SECONDS", -1.0)
    with pytest.raises(UserError, match="training found no room for 1 workers of 1 CPUs each within 0 s"):
        run([LATE] * 9, 3)


@pytest.mark.parametrize(
    "error",
    [
        ControllerError(RuntimeError("nccl2 requires at least one CUDA device")),
        Fails(RuntimeError("Found no NVIDIA driver on your system.")),
        Fails(RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")),
    ],
)
def test_what_no_attempt_can_mend_is_a_sentence_and_not_tried_again(run: Any, error: TrainingFailedError) -> None:
    with pytest.raises(UserError, match=r"training cannot go on \(.*\): .*; the same command goes on"):
        run([error, None], 3)


def test_a_defect_is_raised_with_its_traceback_and_not_tried_again(run: Any) -> None:
    with pytest.raises(TrainingFailedError, match="no attribute"):
        run([Fails(AttributeError("no attribute")), None], 3)


@pytest.mark.parametrize("allowed", [0, 2])
def test_one_more_is_a_sentence(run: Any, allowed: int) -> None:
    complaint = rf"training failed {allowed + 1} times, .* by a machine is gone; fix that, and the same command goes on"
    with pytest.raises(UserError, match=complaint):
        run([FAULT] * 9, allowed)


def test_faults_between_which_it_has_got_on_are_no_fault_of_its_own(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of machines that are taken away, one every half hour."""
    checkpoints = iter([b"1", b"2", b"2", b"3", b"3", b"3"])
    monkeypatch.setattr(SETUP.stage, "read_bytes", lambda name: next(checkpoints) if "snapshot" in name else None)
    assert len(run([FAULT] * 5 + [None], 2)) == 6
    checkpoints = iter([b"1", b"1"])
    with pytest.raises(UserError, match="training failed 2 times"):
        run([FAULT] * 9, 1)


def test_where_machines_are_being_started_it_waits_for_them(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_START_SECONDS", -1.0)
    monkeypatch.setattr(module, "seconds_since_growth", lambda: -2.0)
    with pytest.raises(UserError, match="training found no room"):  # whatever others' autoscalers do
        run([LATE, None], 3)
    assert run([LATE, LATE, None], 3, can_grow=True) == [1, 1, 1]


def test_what_only_the_user_can_fix_is_not_tried_again(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="lower the rate"):
        run([Fails(UserError("lower the rate"))] * 9, 3)
    assert "going on" not in capsys.readouterr().err


def test_a_node_that_turns_out_to_be_unfit_is_left_out_of_the_next_attempt(
    run: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ray, "nodes", list)
    checks = NodeChecks(Probe("/data"))
    unfit = UnfitNode("a" * 56, "late", "data.root /data is no folder there")
    assert len(run([Fails(unfit), None], 1, checks=checks)) == 2
    assert checks.label_selector() == exclude(["a" * 56])
    told = messages(capsys.readouterr().err)
    assert told[0] == "node aaaaaaaa gets no work: data.root /data is no folder there"
    assert "a worker was started on late, which cannot work on this run" in told[1]
    assert told[1].endswith("going on from the last checkpoint")


@pytest.mark.parametrize(("least", "size"), [(None, 4), (1, (1, 4)), (4, (4, 4))])
def test_a_group_is_elastic_where_it_may_be_smaller(least: int | None, size: Any) -> None:
    assert module._group_size(WorkerPlan(4, 1, 0, min_workers=least)) == size


def test_says_so_where_nothing_is_heard(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(module, "_LOOK_SECONDS", 0.001)
    monkeypatch.setattr(module, "_SILENT_SECONDS", 0.0)
    told = ""
    with module._watched(ProgressTracker(), TrainingMetrics(Subject(), 8)):  # type: ignore[arg-type]
        while not told:
            told = capsys.readouterr().err
    assert messages(told)[0].startswith("nothing has been heard of the training for ")


@pytest.mark.parametrize(
    ("stage", "place"),
    [
        ("/runs/cub/localizer", ("/runs", "cub/localizer")),
        ("bucket/a/cub/joint", ("bucket/a", "cub/joint")),
        ("bucket/joint", ("bucket", "joint")),
        ("/cub/joint", ("/cub", "joint")),
    ],
)
def test_a_training_is_called_by_its_run_and_stays_in_its_folder(stage: str, place: tuple[str, str]) -> None:
    assert module._place(stage) == place


def test_groups_that_were_left_behind_are_removed_and_no_others(cluster: str) -> None:
    assert cluster
    mine = placement_group([{"CPU": 1}])
    before = group_ids()
    assert mine.id.hex() in before
    left = placement_group([{"CPU": 1}])
    assert ray.get(left.ready(), timeout=60)
    remove_groups_since(before)
    assert group_ids() == before
    remove_placement_group(mine)
    # Both CPUs are free again.
    whole = placement_group([{"CPU": 2}])
    assert whole.wait(60)
    remove_placement_group(whole)
