"""
Who this node is in its cluster, and how it gets to know the others.

Owns: the figures of ``Coordination``. In: what the operator configured; out: ``CoordinationSettings``, seeds. Pure.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from rustbalance.cluster.messages import NodeId, NodeRecord
from rustbalance.cluster.settings import ClusterSettings


@dataclass(frozen=True)
class Seed:
    """
    A place where a member is said to be; its record is not known yet.

    ``id``: the name under which the carrier sends there. ``addresses``: what is dialled; none where the carrier itself
    knows how to reach that name.
    """

    id: NodeId
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CoordinationSettings:
    """
    ``directory`` holds what is kept from one start to the next. ``bundle``: the join bundle that we came with, by the
    public key of its ticket; ``binding``: that key's signature of ours.

    ``skew``: seconds by which the clocks of two nodes may differ.
    """

    node: NodeId
    directory: Path
    priority: int = 100
    bundle: bytes = b""
    binding: bytes = b""
    skew: float = 5.0
    seeds: tuple[Seed, ...] = ()
    cluster: ClusterSettings = field(default_factory=ClusterSettings)


def unmet(seeds: Iterable[Seed], records: Collection[NodeRecord], own: str | None) -> tuple[Seed, ...]:
    """Return the seeds of which there is no record yet, nor was one, and that are not our ``own`` address."""
    names = {record.id for record in records}
    known = {address for record in records for address in record.addresses} | {own}
    return tuple(seed for seed in seeds if seed.id not in names and known.isdisjoint(seed.addresses))
