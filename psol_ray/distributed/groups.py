"""Placement groups of this job that somebody has left behind."""

import ray
from ray.util.placement_group import PlacementGroup, placement_group_table, remove_placement_group

__all__ = ["group_ids", "remove_groups_since"]

_REMOVED = "REMOVED"


def group_ids() -> set[str]:
    """Ids of the placement groups there are of this job: others have theirs on the same cluster."""
    # A group's id ends with that of its job; what is public tells no owner without a dashboard.
    job = ray.get_runtime_context().get_job_id()
    return {
        group_id
        for group_id, group in placement_group_table().items()
        if group_id.endswith(job) and group["state"] != _REMOVED
    }


def remove_groups_since(before: set[str]) -> None:
    """Remove this job's groups that were not there before, with the actors in them."""
    for group_id in group_ids() - before:
        remove_placement_group(PlacementGroup(ray.PlacementGroupID(bytes.fromhex(group_id))))
