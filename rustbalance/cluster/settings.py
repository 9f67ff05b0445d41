"""
How a cluster behaves.

Owns: the figures that membership, election and gossip decide by. In: what the operator configured (``coordination.*``,
``publish.takeover_grace_secs``); out: ``ClusterSettings``. All times are in seconds on the monotonic clock.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ClusterSettings:
    """
    Both what an operator sets and what only tests change; all nodes of a cluster should have the same.

    ``heartbeat_timeout``: a member of which nothing new has been heard for so long is dead. ``lease_duration``: so long
    after its last sign of life a publisher's lease lapses. ``backoff_jitter``: up to so much is added to the turn of
    every candidate but the first. ``takeover_grace``: between a claim and the first publish.

    ``isolation_patience``: a node that has lost more than half of the members it heard in so many last seconds takes
    itself, not them, for cut off. ``points_patience``: so long a publisher waits for the announced points of a member.
    ``points_lifetime``: points that their node has not confirmed for so long are not published.

    ``fanout``: peers that get each heartbeat, when there are so many; in a larger cluster at least half of them do.
    ``entries``: states of others that one heartbeat tells of.
    """

    heartbeat_interval: float = 2.0
    heartbeat_timeout: float = 8.0
    lease_duration: float = 8.0
    backoff_jitter: float = 1.0
    takeover_grace: float = 2.0

    isolation_patience: float = 120.0
    points_patience: float = 10.0
    points_lifetime: float = 3600.0

    fanout: int = 24
    entries: int = 8
