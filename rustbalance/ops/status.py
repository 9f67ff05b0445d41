"""
One frozen picture of the node, with no secret in it.

Owns: the shape of what ``rustbalance status --json`` prints. In: facts from the services; out: ``NodeStatus`` and the
judgement healthy, degraded or down. The page, the console and the tests read this same value.
"""

from enum import StrEnum
from typing import Literal

import msgspec


class Health(StrEnum):
    """How well the node serves; ``rustbalance status`` exits with 0, 1 or 2 for these three."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    DOWN = "down"


class InstanceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One Tor process. ``phase``: starting, bootstrapping, serving, waiting (to be restarted), stopped."""

    name: str
    mode: Literal["managed", "external"]
    phase: str
    bootstrap_percent: int
    bootstrap_summary: str
    pid: int | None
    restarts: int
    tor_version: str | None
    problem: str | None


class DescriptorStatus(msgspec.Struct, frozen=True, kw_only=True):
    """
    One of the two descriptors (rend-spec-v3 2.2.1): ``first`` or ``second``.

    ``directories`` are responsible for it, ``confirmed`` of them hold our last revision. Ages are in seconds.
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


class NodeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The whole node. ``problems`` says in plain sentences what is wrong and what is being done about it."""

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


def judge(
    instances: tuple[InstanceStatus, ...],
    descriptors: tuple[DescriptorStatus, ...],
    proxy: ProxyStatus,
    problems: tuple[str, ...] = (),
) -> tuple[Health, tuple[str, ...]]:
    """
    Return the health that these facts amount to, and every problem as a sentence.

    Down: a visitor cannot reach this node (no Tor serves, nothing was ever published, or the front does not listen).
    Degraded: visitors are served, but something needs attention. ``problems`` are added to those found here.
    """
    found = (*_of_instances(instances), *_of_descriptors(descriptors), *_of_proxy(proxy), *problems)
    reachable = (
        any(instance.phase == "serving" for instance in instances)
        and any(descriptor.age_secs is not None for descriptor in descriptors)
        and proxy.listening is not None
    )
    if not reachable:
        return Health.DOWN, found
    return (Health.DEGRADED if found else Health.HEALTHY), found


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
