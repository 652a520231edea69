"""What the suite's own machinery promises."""

import os

import pytest


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="in one process there is nothing to group")
@pytest.mark.xdist_group("guard")
def test_a_group_is_known_to_what_deals_tests_out(request: pytest.FixtureRequest) -> None:
    """pytest-xdist appends the group to a test's name, and without a word does not where it knows pytest too little."""
    assert request.node.nodeid.endswith("@guard")
