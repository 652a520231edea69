"""Starting a training again after faults, without a cluster."""

from typing import Any

import pytest
from ray.train import TrainingFailedError

from psol_ray.distributed import train as module
from psol_ray.distributed.cluster import WorkerPlan
from psol_ray.errors import UserError


class Fails(TrainingFailedError):
    """As Ray Train raises it: with what each worker raised."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.worker_failures = {0: cause}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Trains, with these outcomes of one attempt after the other; returns how many there were."""

    def run(outcomes: list[Exception | None], max_failures: int) -> int:
        attempts = 0

        class Attempt:
            def fit(self) -> None:
                nonlocal attempts
                attempts += 1
                outcome = outcomes[attempts - 1]
                if outcome is not None:
                    raise outcome

        monkeypatch.setattr(module, "_make_trainer", lambda *_: Attempt())
        module.train(None, WorkerPlan(1, 1, 0), None, max_failures)  # type: ignore[arg-type]
        return attempts

    return run


FAULT = Fails(RuntimeError("a machine is gone"))


@pytest.mark.parametrize("faults", [0, 1, 3])
def test_goes_on_after_as_many_faults_as_allowed(run: Any, faults: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([FAULT] * faults + [None], 3) == faults + 1
    assert capsys.readouterr().err.count("a machine is gone); going on from the last checkpoint") == faults


@pytest.mark.parametrize("allowed", [0, 2])
def test_one_more_is_a_sentence(run: Any, allowed: int) -> None:
    complaint = rf"training failed {allowed + 1} times, .* by a machine is gone; fix that, and the same command goes on"
    with pytest.raises(UserError, match=complaint):
        run([FAULT] * 9, allowed)


def test_what_only_the_user_can_fix_is_not_tried_again(run: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UserError, match="lower the rate"):
        run([Fails(UserError("lower the rate"))] * 9, 3)
    assert "going on" not in capsys.readouterr().err


@pytest.mark.parametrize(("least", "size"), [(None, 4), (1, (1, 4)), (4, (4, 4))])
def test_a_group_is_elastic_where_it_may_be_smaller(least: int | None, size: Any) -> None:
    assert module._group_size(WorkerPlan(4, 1, 0, min_workers=least)) == size
