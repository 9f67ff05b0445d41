"""The state of a node that is well, and of its parts, for whatever test needs one; a test changes what it is about."""

from typing import Any

from msgspec.structs import replace

from rustbalance.ops.status import (
    ClusterStatus,
    DescriptorStatus,
    Health,
    InstanceStatus,
    MemberStatus,
    MemoryStatus,
    NodeStatus,
    ProxyStatus,
)


def instance(name: str = "primary", phase: str = "serving", **changes: Any) -> InstanceStatus:
    """Return a Tor."""
    fine = InstanceStatus(
        name=name,
        mode="managed",
        phase=phase,
        bootstrap_percent=100,
        bootstrap_summary="Done",
        pid=4242,
        restarts=0,
        tor_version="0.4.9.11",
        problem=None,
    )
    return replace(fine, **changes)


def descriptor(**changes: Any) -> DescriptorStatus:
    """Return a descriptor that all directories have."""
    fine = DescriptorStatus(
        seat="first",
        period=1,
        introduction_points=3,
        revision=1,
        directories=8,
        confirmed=8,
        published=True,
        age_secs=12.9,
        problem=None,
    )
    return replace(fine, **changes)


def proxy(**changes: Any) -> ProxyStatus:
    """Return a front that listens, with a target that answers."""
    fine = ProxyStatus(
        listening="unix:x",
        connections_active=0,
        connections_total=0,
        requests_total=0,
        bytes_in=0,
        bytes_out=0,
        target_healthy=True,
    )
    return replace(fine, **changes)


def member(name: str, state: str = "healthy", **changes: Any) -> MemberStatus:
    """Return a node of a cluster."""
    return replace(MemberStatus(id=name, state=state, priority=100, silent_secs=0.0), **changes)


def cluster(me: str = "alpha", publisher: str | None = "alpha", **states: str) -> ClusterStatus:
    """Return a cluster of ``me`` and the others, each with its state; the points of all of them are published."""
    members = {me: "healthy", **states}
    return ClusterStatus(
        me=me,
        members=tuple(member(name, state) for name, state in members.items()),
        publisher=publisher,
        term=1,
        lease_left_secs=5.0,
        phase="publishing",
        certainty="certain",
        sources=tuple(f"{name}/primary" for name in members),
        carrier="direct",
        listening=None,
        links_up=0,
        links_down=0,
        messages_rejected={},
        problems=(),
    )


def node(**changes: Any) -> NodeStatus:
    """Return a node that is well and publishes."""
    well = NodeStatus(
        version="1",
        node_id="alpha",
        onion_address="x.onion",
        health=Health.HEALTHY,
        problems=(),
        uptime_secs=61.7,
        instances=(instance(),),
        descriptors=(descriptor(), descriptor(seat="second", age_secs=7.2)),
        proxy=proxy(),
        memory=MemoryStatus(locked=True, locked_bytes=0),
        cluster=None,
    )
    return replace(well, **changes)
