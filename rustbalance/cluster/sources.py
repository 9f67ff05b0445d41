"""
Whose introduction points are to be published.

Owns: the last set of every Tor of every node, which ones are out of date, and whether what is held is enough to replace
what the directories have. In: offers and announcements with monotonic times; out: sources and certainty. Pure.

A node announces one number with each heartbeat: the sum of the versions of its sets. Whoever holds another sum asks.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from rustbalance.cluster.commands import Certainty
from rustbalance.cluster.messages import IntroPoints, NodeId

MOST_TORS = 8
"""Sets of one node that are held; a node has two Tors that serve."""


@dataclass
class Holding:
    """
    The sets of one node, by instance.

    ``incarnation``: the one in which the node last offered them or said that they still hold, at the time
    ``confirmed``. ``lacking_since``: from when on it has announced others, None when these are its last.
    """

    incarnation: int
    confirmed: float
    sets: dict[str, IntroPoints] = field(default_factory=dict)
    announced: int = 0
    lacking_since: float | None = None

    @property
    def version(self) -> int:
        """The number to compare with the announced one."""
        return sum(points.version for points in self.sets.values())

    def takes(self, incarnation: int, points: IntroPoints) -> bool:
        """
        Tell whether a set is later than the one we have of that Tor.

        An earlier version is, too, when the node has announced others than ours: it has lost its state, and its clock
        was set back.
        """
        known = self.sets.get(points.instance)
        if known is None and incarnation <= self.incarnation and len(self.sets) >= MOST_TORS:
            return False
        if known is None or incarnation > self.incarnation or points.version > known.version:
            return True
        return self.lacking_since is not None and points.version < known.version

    def compare(self, now: float) -> bool:
        """See whether these are the ones that were announced; return whether that is news."""
        was_lacking = self.lacking_since is not None
        if self.version == self.announced:
            self.lacking_since = None
        elif not was_lacking:
            self.lacking_since = now
        return was_lacking is not (self.lacking_since is not None)


class Sources:
    """Everybody's points; ``patience`` and ``lifetime`` are in seconds (see ``ClusterSettings``)."""

    def __init__(self, patience: float, lifetime: float) -> None:
        self._patience = patience
        self._lifetime = lifetime
        self._held: dict[NodeId, Holding] = {}

    def put(self, node: NodeId, incarnation: int, points: IntroPoints, now: float) -> bool:
        """``node`` offers this set; return whether it is news."""
        holding = self._held.setdefault(node, Holding(incarnation, now))
        if not holding.takes(incarnation, points):
            return False
        if incarnation > holding.incarnation:
            holding.sets.clear()
        holding.incarnation, holding.confirmed = incarnation, now
        holding.sets[points.instance] = points
        if holding.lacking_since is None:
            holding.announced = holding.version
        holding.compare(now)
        return True

    def announced(self, node: NodeId, incarnation: int, version: int, now: float) -> bool:
        """``node`` itself says that its sets are at this version; return whether that changes what we think of ours."""
        if version == 0:
            return self._held.pop(node, None) is not None
        holding = self._held.setdefault(node, Holding(incarnation, float("-inf")))
        holding.announced = version
        renewed = holding.version == version and incarnation != holding.incarnation
        if holding.version == version:
            holding.incarnation, holding.confirmed = incarnation, now
        return holding.compare(now) or renewed

    def remove(self, node: NodeId) -> None:
        """It is no member any more, so nothing of it is held."""
        self._held.pop(node, None)

    def lacks(self, node: NodeId) -> bool:
        """Tell whether ``node`` has announced points that we do not have."""
        holding = self._held.get(node)
        return holding is not None and holding.lacking_since is not None

    def usable(self, node: NodeId, incarnation: int, now: float) -> bool:
        """Tell whether we have points of ``node`` in this incarnation that can be published."""
        holding = self._held.get(node)
        return holding is not None and holding.incarnation >= incarnation and any(self._sets(holding, now))

    def of(self, nodes: Iterable[NodeId], now: float) -> dict[str, IntroPoints]:
        """Return the sets of these nodes, each under a name of its own."""
        return {
            source_name(points): points
            for node in nodes
            if (holding := self._held.get(node)) is not None
            for points in self._sets(holding, now)
        }

    def waiting(self, nodes: Iterable[NodeId], now: float) -> bool:
        """Tell whether one of these nodes may be about to give us what it has announced."""
        lacking = (holding.lacking_since for node in nodes if (holding := self._held.get(node)) is not None)
        return any(since is not None and now < since + self._patience for since in lacking)

    def due(self, now: float) -> float:
        """Return the monotonic second at which patience or a lifetime next ends."""
        return min((time for time in self._times() if time > now), default=float("inf"))

    def excuse(self, seconds: float) -> None:
        """We were not running for so long: nobody could have confirmed anything in that time."""
        for holding in self._held.values():
            if holding.lacking_since is not None:
                holding.lacking_since += seconds

    def _sets(self, holding: Holding, now: float) -> Iterator[IntroPoints]:
        if now < holding.confirmed + self._lifetime:
            yield from (holding.sets[name] for name in sorted(holding.sets) if holding.sets[name].inner)

    def _times(self) -> Iterator[float]:
        for holding in self._held.values():
            yield holding.confirmed + self._lifetime
            if holding.lacking_since is not None:
                yield holding.lacking_since + self._patience


def source_name(points: IntroPoints) -> str:
    """Return the name under which a set is merged."""
    return f"{points.source}/{points.instance}"


def certainty(sources: Mapping[str, IntroPoints], *, discovering: bool, isolated: bool, waiting: bool) -> Certainty:
    """
    Say whether ``sources`` may replace what the directories hold.

    ``discovering``: the others have not had time to be heard since we started. ``isolated``: we have lost more than
    half of them, so it is rather us who are cut off. ``waiting``: points of somebody who is here are on their way.
    """
    if not sources or discovering:
        return Certainty.UNKNOWN
    return Certainty.UNCERTAIN if isolated or waiting else Certainty.CERTAIN
