"""
What this node says of itself.

Owns: its record, incarnation and beats, its points and their versions, its health. In: what happens here; out: the
parts of its messages. Pure.
"""

from collections.abc import Callable

import msgspec

from rustbalance.cluster.messages import IntroPoints, NodeRecord, State


class Own:
    """
    Our node; ``sign`` signs a record of it with its node key.

    ``changed_beat``: its beat when its points last changed. ``able``: whether its Tor can publish now.
    """

    def __init__(
        self, me: NodeRecord, sign: Callable[[NodeRecord], NodeRecord], incarnation: int, points_version: int
    ) -> None:
        self._sign = sign
        self.record = me
        self.incarnation = incarnation
        self.points_version = points_version
        self.beat = 0
        self.changed_beat = 0
        self.sets: dict[str, IntroPoints] = {}
        self.target_healthy: bool | None = None
        self.drained = False
        self.able = True
        self.leaving = False

    def reincarnate(self, beyond: int, addresses: tuple[str, ...] | None = None) -> None:
        """Begin the incarnation after ``beyond``, perhaps at other addresses; what is said of earlier ones is void."""
        self.incarnation = max(self.incarnation, beyond) + 1
        self.beat = self.changed_beat = 0
        where = self.record.addresses if addresses is None else addresses
        record = msgspec.structs.replace(self.record, incarnation=self.incarnation, addresses=where)
        self.record = self._sign(record)

    def offer(self, points: IntroPoints, wall: float) -> IntroPoints | None:
        """
        One of our Tors has these points; return the set with its version, None when it had them before.

        Versions begin at the Unix time ``wall``, so that a node that has lost its state does not count the same again.
        """
        known = self.sets.get(points.instance)
        if known is not None and known.inner == points.inner:
            return None
        self.points_version = max(self.points_version + 1, int(wall))
        self.changed_beat = self.beat
        stamped = msgspec.structs.replace(points, source=self.record.id, version=self.points_version)
        self.sets[points.instance] = stamped
        return stamped

    def announced(self) -> int:
        """Return the number by which others see whether they have our sets."""
        return sum(points.version for points in self.sets.values())

    def state(self) -> State:
        """Return how we are."""
        if self.leaving:
            return State.DEAD
        if self.drained or self.target_healthy is False:
            return State.UNHEALTHY
        return State.HEALTHY if any(points.inner for points in self.sets.values()) else State.INITIALIZING
