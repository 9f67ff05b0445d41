"""What nodes of a lab say of themselves, for tests that need it."""

from msgspec.structs import replace

from rustbalance.ops.status import DescriptorStatus, Health, NodeStatus
from tests.ops import statuses


def node_status(health: Health) -> NodeStatus:
    """Return a status with this health, and a problem when it is not good."""
    problems = () if health is Health.HEALTHY else ("something is wrong",)
    return statuses.node(health=health, problems=problems, instances=(), descriptors=())


def member_status(
    me: str, publisher: str | None, sources: tuple[str, ...] = (), points: int = 0, health: Health = Health.HEALTHY
) -> NodeStatus:
    """
    Return the status of the node ``me`` in a cluster.

    ``sources`` are the nodes whose points are to be published; when it publishes, its descriptors have ``points``.
    """
    cluster = replace(
        statuses.cluster(me, publisher), sources=tuple(f"{source}/primary" for source in sources), links_up=1
    )
    descriptors = (descriptor("first", points), descriptor("second", points)) if points else ()
    return replace(node_status(health), node_id=me, cluster=cluster, descriptors=descriptors)


def descriptor(seat: str, points: int, *, published: bool = True) -> DescriptorStatus:
    """Return a descriptor that is confirmed by all its directories, or by none."""
    confirmed = 8 if published else 0
    return statuses.descriptor(seat=seat, introduction_points=points, confirmed=confirmed, published=published)
