"""
Whether the nodes of a lab are one service.

Owns: what has to be true of their statuses for that. In: ``NodeStatus`` of each; out: who publishes, and whether all
Tors serve and the descriptors that are out have everybody's points. Pure.
"""

from collections.abc import Collection, Sequence

from rustbalance.ops.status import ClusterStatus, DescriptorStatus, NodeStatus

POINTS = 3
"""Introduction points of each Tor, as the configuration has them by default."""


def publisher_of(statuses: Sequence[NodeStatus | None]) -> str | None:
    """Return the id of the node that says of itself that it publishes; None when none does, or more than one."""
    claiming = [
        status.node_id
        for status in statuses
        if status is not None and status.cluster is not None and status.cluster.publisher == status.node_id
    ]
    return claiming[0] if len(claiming) == 1 else None


def whole(statuses: Sequence[NodeStatus | None], everybody: Collection[str]) -> bool:
    """Say whether the nodes agree who publishes, and the descriptors with the points of ``everybody`` are out."""
    publisher, answers = publisher_of(statuses), [status for status in statuses if status is not None]
    if publisher is None or len(answers) != len(everybody):
        return False
    agreed = all(status.cluster is not None and status.cluster.publisher == publisher for status in answers)
    up = all(instance.phase == "serving" for status in answers for instance in status.instances)
    return agreed and up and any(holds(status, everybody) for status in answers if status.node_id == publisher)


def holds(status: NodeStatus, everybody: Collection[str]) -> bool:
    """Say whether this node has published the points of exactly ``everybody``."""
    cluster = status.cluster
    if cluster is None or sources(cluster) != set(everybody) or not status.descriptors:
        return False
    return all(_fits(descriptor, len(cluster.sources)) for descriptor in status.descriptors)


def sources(cluster: ClusterStatus) -> set[str]:
    """Return the nodes whose points are to be published."""
    return {source.partition("/")[0] for source in cluster.sources}


def _fits(descriptor: DescriptorStatus, tors: int) -> bool:
    """Between one more than a Tor fewer could offer, and all that so many can: one may be replacing a point."""
    offered = descriptor.introduction_points + descriptor.left_out
    return descriptor.published and POINTS * (tors - 1) < offered <= POINTS * tors
