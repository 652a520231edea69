"""What is made of the autoscaler's reports. A real autoscaler is in test_growth."""

from collections.abc import Iterable

import pytest
from ray.core.generated.autoscaler_pb2 import GetClusterStatusReply
from ray.exceptions import RpcError

from psol_ray.distributed import autoscaler, waiting
from psol_ray.distributed.autoscaler import Demand, bring_node, has_autoscaler, seconds_since_growth, starts_nodes
from psol_ray.errors import UserError

needs_ray = pytest.mark.usefixtures("cluster")

NOTHING: tuple[str, ...] = ()
CPU, GPU = ("CPU",), ("CPU", "GPU")


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autoscaler, "_without_gpus", set())
    monkeypatch.setattr(autoscaler, "_POLL_SECONDS", 0.01)


def write_reports(monkeypatch: pytest.MonkeyPatch, starting: Iterable[tuple[str, ...]]) -> None:
    """Reports, each later than the one before; the last stays."""
    reports = [autoscaler._Report(number, True, frozenset(what)) for number, what in enumerate(starting)]
    monkeypatch.setattr(autoscaler, "_read_report", lambda: reports.pop(0) if len(reports) > 1 else reports[0])


@needs_ray
def test_a_ray_that_was_started_here_has_no_autoscaler() -> None:
    """Its head runs Ray's monitor all the same."""
    assert not has_autoscaler()


@needs_ray
def test_before_the_first_report_there_is_no_autoscaler(monkeypatch: pytest.MonkeyPatch) -> None:
    """The GCS is asked, and its real answer says that nodes have no types."""
    monkeypatch.setattr("ray.experimental.internal_kv._internal_kv_get", lambda _: None)
    assert not has_autoscaler()


@pytest.mark.parametrize(
    ("types", "starting", "expected"),
    [
        pytest.param({"id": "head"}, {"CPU": 4, "GPU": 2}, (True, {"CPU", "GPU"}), id="it starts a node"),
        pytest.param({"id": "head"}, {}, (True, set()), id="it starts none"),
        pytest.param({"id": "node_" + 28 * "a8"}, {}, (False, set()), id="nodes have no types"),
        pytest.param({"id": "node_" + 28 * "a8", "other": "gpu"}, {}, (True, set()), id="one joined by hand"),
    ],
)
def test_the_first_version_is_understood(
    types: dict[str, str], starting: dict[str, int], expected: tuple[bool, set[str]]
) -> None:
    """Reports as a real one of Ray 2.60, with what is not used left out."""
    report = {"active_nodes": {}, "pending_launches": {}, "pending_resources": starting, "node_type_mapping": types}
    found = autoscaler._parse_first_version({"time": 1795692586.8, "autoscaler_report": report})
    assert (found.has_types, found.starting) == expected
    assert found.number == 1795692586.8
    assert found.is_starting({"CPU": 1, "GPU": 1}) == bool(starting)


def test_a_first_version_that_has_just_been_started_says_nothing() -> None:
    assert not autoscaler._parse_first_version({"time": 1.0, "autoscaler_report": None}).has_types


def test_the_second_version_says_for_which_bundles_it_has_no_nodes() -> None:
    status = GetClusterStatusReply()
    status.autoscaling_state.pending_instances.add(ray_node_type_name="cpu")
    bundle = status.autoscaling_state.infeasible_gang_resource_requests.add().requests.add().resources_bundle
    bundle["CPU"], bundle["GPU"] = 1, 1
    found = autoscaler._parse_second_version(status)
    assert not found.has_types
    assert not found.is_starting({"CPU": 1, "GPU": 1})
    assert found.is_starting({"CPU": 1})
    status.cluster_resource_state.node_states.add(ray_node_type_name="head")
    assert autoscaler._parse_second_version(status).has_types


@needs_ray
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


@needs_ray
def test_a_node_that_is_being_started_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_reports(monkeypatch, [NOTHING, NOTHING, *[GPU] * 20])
    calls = iter(range(30))
    assert bring_node("GPU", lambda: next(calls) == 15)
    complaint = capsys.readouterr().err
    assert complaint.count("Waiting for a machine with a GPU, which the autoscaler is starting") == 1


@needs_ray
def test_as_long_as_it_waits_it_says_for_what(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(waiting, "_QUIET_SECONDS", 0.0)
    monkeypatch.setattr(autoscaler, "Teller", lambda: waiting.Teller(0.0))
    write_reports(monkeypatch, [NOTHING, NOTHING, *[GPU] * 20])
    calls = iter(range(30))
    assert bring_node("GPU", lambda: next(calls) == 5)
    told = capsys.readouterr().err
    what = "A machine with a GPU has not come for 0 s; the autoscaler"
    assert f"{what} has not said whether it starts one; `ray status` shows" in told
    assert f"{what} is starting one; `ray status` shows" in told


@needs_ray
def test_an_autoscaler_without_gpus_is_asked_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_reports(monkeypatch, [NOTHING, NOTHING, CPU, CPU, NOTHING, NOTHING, NOTHING])
    assert not bring_node("GPU", lambda: False)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(autoscaler, "_read_report", lambda: pytest.fail("asked again"))
    assert not bring_node("GPU", lambda: False)


@needs_ray
def test_a_node_that_never_joins_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    write_reports(monkeypatch, [NOTHING, GPU, GPU, *[NOTHING] * 9])
    with pytest.raises(UserError, match="began to start a machine with a GPU, and none has joined the cluster"):
        bring_node("GPU", lambda: False)


@needs_ray
def test_an_autoscaler_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autoscaler, "_SILENCE_SECONDS", 0.1)
    write_reports(monkeypatch, [NOTHING])
    assert not bring_node("CPU", lambda: False)


@needs_ray
def test_one_that_is_asked_for_more_and_starts_nothing_brings_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the monitor of a cluster of KubeRay's without an autoscaler, whose nodes have types all the same."""
    write_reports(monkeypatch, [NOTHING] * 9)
    assert not starts_nodes({"CPU": 1, "GPU": 1}, 2)
    write_reports(monkeypatch, [NOTHING, NOTHING, CPU, CPU])
    assert starts_nodes({"CPU": 1}, 2)
    write_reports(monkeypatch, [NOTHING, NOTHING, CPU, *[NOTHING] * 9])
    assert not starts_nodes({"CPU": 1, "GPU": 1}, 2)


def test_it_is_remembered_when_one_was_seen_to_start_something(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autoscaler, "_growing_at", float("-inf"))
    reports = [autoscaler._Report(), autoscaler._Report(1, True, frozenset(CPU)), autoscaler._Report(2, True)]
    monkeypatch.setattr(autoscaler, "_ask_ray", lambda: reports.pop(0))
    assert seconds_since_growth() == float("inf")
    assert seconds_since_growth() < 60
    assert seconds_since_growth() < 60
    monkeypatch.setattr(autoscaler, "_SILENCE_SECONDS", 600.0)
    reports.append(autoscaler._Report(3, True))
    assert starts_nodes({"CPU": 1}, 9)  # without asking for it

    def is_busy() -> autoscaler._Report:
        raise RpcError("the head does not answer")

    monkeypatch.setattr(autoscaler, "_ask_ray", is_busy)
    assert seconds_since_growth() < 60
