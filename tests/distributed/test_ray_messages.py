"""What Ray tells its driver, as the log has it."""

import time

import pytest
from ray._private import worker
from ray._private.utils import publish_error_to_driver
from synthetic.logs import messages

from psol_ray.distributed import ray_messages
from psol_ray.distributed.ray_messages import shorten_messages

pytestmark = pytest.mark.usefixtures("cluster")


def test_a_message_is_a_line_and_does_not_come_twice(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "print_to_stdstream", worker.print_to_stdstream)  # put back afterwards
    monkeypatch.setattr(ray_messages, "_told_at", {})
    shorten_messages()
    for node in ("0123456789abcdef", "fedcba9876543210"):
        text = f"The node with node id: {node} has been marked dead\n  a state\n  another\n"
        publish_error_to_driver("node", text, gcs_client=worker.global_worker.gcs_client)
    publish_error_to_driver("other", "something else\n", gcs_client=worker.global_worker.gcs_client)
    told, deadline = "", time.monotonic() + 30
    while "something else" not in told:
        assert time.monotonic() < deadline
        told += capsys.readouterr().err
    assert messages(told) == [
        "Ray says: The node with node id: 0123456789abcdef has been marked dead ... (2 more lines in Ray's logs)",
        "Ray says: something else",
    ]
