"""What is made of the autoscaler's reports. A real autoscaler is in test_growth."""

from collections.abc import Iterable

import pytest

from psol_ray.distributed import autoscaler
from psol_ray.distributed.autoscaler import Demand, bring_node, has_autoscaler
from psol_ray.errors import UserError

pytestmark = pytest.mark.usefixtures("cluster")

NOTHING: dict[str, float] = {}


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autoscaler, "_without_gpus", set())
    monkeypatch.setattr(autoscaler, "_POLL_SECONDS", 0.01)


def write_reports(monkeypatch: pytest.MonkeyPatch, pending: Iterable[dict[str, float]]) -> None:
    """Reports, each later than the one before; the last stays."""
    reports = [autoscaler._Report(float(at), True, what) for at, what in enumerate(pending)]
    monkeypatch.setattr(autoscaler, "_read_report", lambda: reports.pop(0) if len(reports) > 1 else reports[0])


def test_a_ray_that_was_started_here_has_no_autoscaler() -> None:
    """Its head runs Ray's monitor all the same."""
    assert not has_autoscaler()


def test_a_demand_that_cannot_be_met_waits_and_is_withdrawn() -> None:
    from ray.util import placement_group_table

    def states() -> list[str]:
        return sorted(group["state"] for group in placement_group_table().values() if group["bundles"][0].get("GPU"))

    before = states()
    demand = Demand({"CPU": 1, "GPU": 1})
    demand.ask(2)
    assert states().count("PENDING") == before.count("PENDING") + 2
    demand.ask(1)
    assert states().count("PENDING") == before.count("PENDING") + 1
    demand.ask(0)
    assert states().count("PENDING") == before.count("PENDING")


def test_a_node_that_is_being_started_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_reports(monkeypatch, [NOTHING, NOTHING, *[{"CPU": 4, "GPU": 1}] * 20])
    calls = iter(range(30))
    assert bring_node("GPU", lambda: next(calls) == 15)
    complaint = capsys.readouterr().err
    assert complaint.count("Waiting for a machine with a GPU, which the autoscaler is starting") == 1


def test_an_autoscaler_without_gpus_is_asked_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_reports(monkeypatch, [NOTHING, NOTHING, {"CPU": 4}, {"CPU": 4}, NOTHING, NOTHING, NOTHING])
    assert not bring_node("GPU", lambda: False)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(autoscaler, "_read_report", lambda: pytest.fail("asked again"))
    assert not bring_node("GPU", lambda: False)


def test_a_node_that_never_joins_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    write_reports(monkeypatch, [NOTHING, {"GPU": 1.0}, {"GPU": 1.0}, *[NOTHING] * 9])
    with pytest.raises(UserError, match="began to start a machine with a GPU, and none has joined the cluster"):
        bring_node("GPU", lambda: False)


def test_an_autoscaler_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autoscaler, "_SILENCE_SECONDS", 0.1)
    write_reports(monkeypatch, [NOTHING])
    assert not bring_node("CPU", lambda: False)
