"""A node's status, for tests that need one."""

from rustbalance.ops.status import Health, MemoryStatus, NodeStatus, ProxyStatus

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
