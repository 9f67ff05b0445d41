"""A node's status, for tests that need one."""

import msgspec

from rustbalance.ops.status import (
    ClusterStatus,
    DescriptorStatus,
    Health,
    InstanceStatus,
    MemoryStatus,
    NodeStatus,
    ProxyStatus,
)

PROXY = ProxyStatus(
    listening="127.0.0.1:1",
    connections_active=0,
    connections_total=0,
    requests_total=0,
    bytes_in=0,
    bytes_out=0,
    target_healthy=None,
)


def node_status(health: Health) -> NodeStatus:
    """Return a status with this health, and a problem when it is not good."""
    return NodeStatus(
        version="0",
        node_id="node1",
        onion_address="served.onion",
        health=health,
        problems=() if health is Health.HEALTHY else ("something is wrong",),
        uptime_secs=1.0,
        instances=(),
        descriptors=(),
        proxy=PROXY,
        memory=MemoryStatus(locked=True, locked_bytes=1),
    )


def member_status(
    me: str, publisher: str | None, sources: tuple[str, ...] = (), points: int = 0, health: Health = Health.HEALTHY
) -> NodeStatus:
    """
    Return the status of the node ``me`` in a cluster.

    ``sources`` are the nodes whose points are to be published; when it publishes, its descriptors have ``points``.
    """
    cluster = ClusterStatus(
        me=me,
        members=(),
        publisher=publisher,
        term=1,
        lease_left_secs=8.0,
        phase="standby",
        certainty="certain",
        sources=tuple(f"{source}/primary" for source in sources),
        carrier="direct",
        listening="127.0.0.1:1",
        links_up=1,
        links_down=0,
        messages_rejected={},
        problems=(),
    )
    descriptors = (descriptor("first", points), descriptor("second", points)) if points else ()
    return msgspec.structs.replace(node_status(health), node_id=me, cluster=cluster, descriptors=descriptors)


def instance_status(name: str, phase: str) -> InstanceStatus:
    """Return a Tor in this phase."""
    return InstanceStatus(
        name=name,
        mode="managed",
        phase=phase,
        bootstrap_percent=100,
        bootstrap_summary="Done",
        pid=1,
        restarts=0,
        tor_version="0.4.9.11",
        problem=None,
    )


def descriptor(seat: str, points: int, *, published: bool = True) -> DescriptorStatus:
    """Return a descriptor that is confirmed by all its directories, or by none."""
    return DescriptorStatus(
        seat=seat,  # type: ignore[arg-type]
        period=1,
        introduction_points=points,
        revision=1,
        directories=8,
        confirmed=8 if published else 0,
        published=published,
        age_secs=1.0,
        problem=None,
    )
