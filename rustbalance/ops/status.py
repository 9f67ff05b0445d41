"""
One frozen picture of the node, with no secret in it.

Owns: the shape of what ``rustbalance status --json`` prints. In: facts from the services; out: ``NodeStatus`` and the
judgement healthy, degraded or down. The page, the console and the tests read this same value.
"""

from enum import StrEnum
from typing import Literal

import msgspec

SCOUT = "scout"
"""The name of the Tor instance that serves no visitors."""
DRAINED = "this node is drained: `rustbalance undrain` puts it back into service"


class Health(StrEnum):
    """How well the node serves; ``rustbalance status`` exits with 0, 1 or 2 for these three."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    DOWN = "down"


class InstanceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """
    One Tor process. ``phase``: starting, bootstrapping, serving, waiting (to be restarted), stopped.

    ``failure``: the class of what is wrong, as in ``rustbalance.tor.failures``. ``serves_visitors``: the address is
    served through it; the scout, and a standby for outgoing connections only, serve nobody.
    """

    name: str
    mode: Literal["managed", "external"]
    phase: str
    bootstrap_percent: int
    bootstrap_summary: str
    pid: int | None
    restarts: int
    tor_version: str | None
    problem: str | None
    failure: str | None = None
    serves_visitors: bool = True


class PairStatus(msgspec.Struct, frozen=True, kw_only=True):
    """
    Which Tor is used for control and for outgoing connections: ``active`` is its name, None when neither can be.

    ``phase``: primary, standby, probation (the primary is to be used again when it stays well), neither. ``switches``
    to the standby since the start.
    """

    active: str | None
    phase: str
    switches: int


class DescriptorStatus(msgspec.Struct, frozen=True, kw_only=True):
    """
    One of the two descriptors (rend-spec-v3 2.2.1): ``first`` or ``second``.

    ``directories`` are responsible for it, ``confirmed`` of them have said that they took our last revision. The last
    check has found it at ``verified`` of them: they gave it (``verified_by`` "fetch") or, where they cannot be asked
    for it, had confirmed it ("upload"). ``left_out``: points that were offered and are not in it, because there are too
    many, or another one is at the same relay. Ages are in seconds.
    """

    seat: Literal["first", "second"]
    period: int
    introduction_points: int
    revision: int | None
    directories: int
    confirmed: int
    published: bool
    age_secs: float | None
    problem: str | None
    verified: int | None = None
    verified_by: Literal["fetch", "upload"] | None = None
    verified_age_secs: float | None = None
    left_out: int = 0


class ProxyStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The front that visitors reach. ``target_healthy`` is None as long as nobody has asked for a page."""

    listening: str | None
    connections_active: int
    connections_total: int
    requests_total: int
    bytes_in: int
    bytes_out: int
    target_healthy: bool | None


class MemoryStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Where the secrets lie: ``locked`` is False when the kernel refused to lock even one of their pages."""

    locked: bool
    locked_bytes: int


class MemberStatus(msgspec.Struct, frozen=True, kw_only=True):
    """
    One node of the cluster. ``state``: joining, initializing, healthy, unhealthy, dead.

    ``silent_secs``: since it was last heard of, None if it never was. ``left``: it has said goodbye. ``drained``: it is
    taken out of service by its operator.
    """

    id: str
    state: str
    priority: int
    silent_secs: float | None
    left: bool = False
    drained: bool = False


class ClusterStatus(msgspec.Struct, frozen=True, kw_only=True):
    """
    The cluster as seen from this node, ``me``, which is one of ``members``.

    ``publisher``: whose lease runs, for another ``lease_left_secs``; ``term`` counts the takeovers. ``phase``: what
    this node is doing about publishing. ``certainty``: whether what it knows may replace what the directories hold.
    ``sources``: whose points are to be published, as ``NODE/INSTANCE``. ``messages_rejected``: by reason.
    """

    me: str
    members: tuple[MemberStatus, ...]
    publisher: str | None
    term: int
    lease_left_secs: float
    phase: str
    certainty: str
    sources: tuple[str, ...]
    carrier: str
    listening: str | None
    links_up: int
    links_down: int
    messages_rejected: dict[str, int]
    problems: tuple[str, ...]

    @property
    def serving_others(self) -> tuple[str, ...]:
        """The names of the other nodes that serve visitors."""
        return tuple(one.id for one in self.members if one.state == "healthy" and one.id != self.me)

    @property
    def serves_us(self) -> bool:
        """Whether another node publishes our points."""
        ours = any(source.partition("/")[0] == self.me for source in self.sources)
        return ours and self.publisher not in (None, self.me)


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """Visits to our own address that a node has answered, coming to it through its Tor ``instance``."""

    node: str
    instance: str
    age_secs: float
    count: int


class CanaryStatus(msgspec.Struct, frozen=True, kw_only=True):
    """
    The visits to our own address, which began when ``visits`` is not 0.

    ``last`` says what the latest one came to; ``failures`` have failed in a row. ``through``: the Tor it went through.
    ``seen``: who has answered, as far as that was proved. ``diagnosis``: why it fails, once it matters.
    """

    visits: int
    failures: int
    passed_age_secs: float | None
    last: str
    through: str | None
    seen: tuple[Sighting, ...]
    diagnosis: str | None


class NodeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """
    The whole node. ``problems`` says in plain sentences what is wrong and what is being done about it.

    ``summary`` is one sentence about all of it. ``cluster`` is None for a node that is alone by its configuration.
    ``descriptors`` are those that it publishes: it has none while another node does. ``canary`` is None where that is
    off. ``drained``: its operator has taken it out of service.
    """

    version: str
    node_id: str
    onion_address: str
    health: Health
    problems: tuple[str, ...]
    uptime_secs: float
    instances: tuple[InstanceStatus, ...]
    descriptors: tuple[DescriptorStatus, ...]
    proxy: ProxyStatus
    memory: MemoryStatus
    cluster: ClusterStatus | None = None
    pair: PairStatus | None = None
    canary: CanaryStatus | None = None
    summary: str = ""
    drained: bool = False

    @property
    def publishes(self) -> bool:
        """Whether this node is the one that publishes."""
        return bool(self.descriptors) if self.cluster is None else self.cluster.publisher == self.node_id

    @property
    def published(self) -> bool:
        """Whether this node's points are: by itself, as far as directories have confirmed, or by another node."""
        if self.descriptors:
            return all(descriptor.published for descriptor in self.descriptors)
        return self.cluster is not None and self.cluster.serves_us


def judge(
    instances: tuple[InstanceStatus, ...],
    descriptors: tuple[DescriptorStatus, ...],
    proxy: ProxyStatus,
    problems: tuple[str, ...] = (),
    cluster: ClusterStatus | None = None,
    *,
    drained: bool = False,
) -> tuple[Health, tuple[str, ...]]:
    """
    Return the health that these facts amount to, and every problem as a sentence.

    Down: no visitor can reach this node (no Tor serves, its points were never published, the front does not listen).
    Degraded: visitors are served, but something needs attention, or the node is ``drained``, which is as it should be
    where others serve: then nobody needs to reach this one.
    ``problems`` are added to those found here.
    """
    of_cluster = () if cluster is None else cluster.problems
    found = (*_of_instances(instances), *_of_descriptors(descriptors), *_of_proxy(proxy), *of_cluster, *problems)
    published = any(descriptor.age_secs is not None for descriptor in descriptors)
    reachable = (
        any(instance.phase == "serving" for instance in instances if instance.serves_visitors)
        and (published or (cluster is not None and cluster.serves_us))
        and proxy.listening is not None
    )
    elsewhere = drained and cluster is not None and bool(cluster.serving_others)
    if reachable or elsewhere:
        health = Health.DEGRADED if found or drained else Health.HEALTHY
    else:
        health, found = Health.DOWN, found or (_unpublished(cluster),)
    return health, (*((DRAINED,) if drained else ()), *found)


def _unpublished(cluster: ClusterStatus | None) -> str:
    """Say what a node waits for that nothing is wrong with."""
    if cluster is None or cluster.publisher in (None, cluster.me):
        return "nothing has been published yet; it is, as soon as there are introduction points and a consensus"
    return f"node {cluster.publisher} has not published this node's introduction points yet; it is told of them"


def _of_instances(instances: tuple[InstanceStatus, ...]) -> tuple[str, ...]:
    return tuple(
        f"Tor ({instance.name}) is {instance.phase} at {instance.bootstrap_percent} %"
        + (f": {instance.problem}" if instance.problem else f" ({instance.bootstrap_summary})")
        for instance in instances
        if instance.phase != "serving"
    )


def _of_descriptors(descriptors: tuple[DescriptorStatus, ...]) -> tuple[str, ...]:
    return tuple(
        f"the {descriptor.seat} descriptor is confirmed by "
        f"{descriptor.confirmed} of {descriptor.directories} directories"
        + (f": {descriptor.problem}" if descriptor.problem else "")
        for descriptor in descriptors
        if not descriptor.published
    )


def _of_proxy(proxy: ProxyStatus) -> tuple[str, ...]:
    if proxy.listening is None:
        return ("the front does not accept visitors",)
    if proxy.target_healthy is False:
        return ("the target does not answer",)
    return ()
