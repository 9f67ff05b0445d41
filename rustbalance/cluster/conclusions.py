"""
What this node concludes from all that it knows.

Owns: the states of the members, whether we are cut off, which points are to be published and how certain that is.
In: the parts and monotonic times; out: ``SourcesChanged``, log lines, and the next second at which time alone changes
something. Pure.
"""

from rustbalance.cluster.commands import Certainty, Log, SourcesChanged
from rustbalance.cluster.membership import NEVER, Census, Member
from rustbalance.cluster.messages import IntroPoints, State
from rustbalance.cluster.parts import Parts
from rustbalance.cluster.sources import certainty, source_name


class Conclusions:
    """The judgement of the node whose ``parts`` these are."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._started = NEVER
        self.census = Census(1, 1)
        self.discovering = False
        self.sources: dict[str, IntroPoints] = {}
        self.certainty = Certainty.UNKNOWN
        self.due = NEVER

    def start(self, now: float) -> None:
        """We listen from now on."""
        self._started = now

    def excuse(self, seconds: float) -> None:
        """We were not running for so long."""
        self._started += seconds

    def draw(self, now: float) -> None:
        """Think it all over."""
        parts = self._parts
        parts.members.settle(lambda member: parts.sources.usable(member.id, member.incarnation, now), now)
        parts.drop_unwanted()
        self._report()
        self.census = parts.members.census(now)
        self.discovering = self._is_discovering()
        self.due = min(parts.members.due(now), parts.sources.due(now))
        if self.census.doubtful and not self.census.isolated:
            self.due = min(self.due, now + parts.settings.heartbeat_interval / 2)
        sources, certain = self._wanted(now)
        if certain is not self.certainty or sources != self.sources:
            self.sources, self.certainty = sources, certain
            parts.out.append(SourcesChanged(sources, certain))

    def _is_discovering(self) -> bool:
        """Tell whether somebody who knows more than we do may be about to be heard for the first time."""
        unheard = [each for each in self._parts.members if each.state is State.JOINING and not each.unmet]
        nobody_heard = len(unheard) == len(self._parts.members)
        return any(nobody_heard or each.since <= self._started for each in unheard)

    def _wanted(self, now: float) -> tuple[dict[str, IntroPoints], Certainty]:
        parts = self._parts
        present = [each for each in parts.members if each.present and not self._is_dispossessed(each)]
        sources = parts.sources.of((each.id for each in present if each.state is State.HEALTHY), now)
        if parts.own.state() is State.HEALTHY:
            sources |= self._own()
        sources = sources or self._unhealthy(present, now, drained=False) or self._unhealthy(present, now, drained=True)
        waiting = parts.sources.waiting((each.id for each in present if _serves(each)), now)
        return sources, certainty(sources, discovering=self.discovering, isolated=self.census.doubtful, waiting=waiting)

    def _is_dispossessed(self, member: Member) -> bool:
        """Tell whether it joined with a bundle that is another's: nobody may see its points."""
        record = self._parts.table.get(member.id)
        return record is not None and self._parts.table.rival(record) is not None

    def _unhealthy(self, present: list[Member], now: float, *, drained: bool) -> dict[str, IntroPoints]:
        """
        Return the points of those whose target does not answer, and of those that are ``drained``, for when there are
        no others.

        Whoever comes gets a page that says so, and the pages again as soon as the target is back. A node that is taken
        out of service while there is no other to serve serves on.
        """
        held = self._parts.sources
        unhealthy = [each for each in present if each.state is State.UNHEALTHY and (drained or not each.drained)]
        sources = held.of((each.id for each in unhealthy if held.usable(each.id, each.incarnation, now)), now)
        return sources if self._parts.own.drained and not drained else sources | self._own()

    def _own(self) -> dict[str, IntroPoints]:
        return {source_name(points): points for points in self._parts.own.sets.values() if points.inner}

    def _report(self) -> None:
        absent = frozenset(each.id for each in self._parts.members if each.state is State.DEAD)
        if absent == self._parts.absent:
            return
        for node in sorted(absent - self._parts.absent):
            self._parts.out.append(Log("warn", f"node {node} is not heard any more"))
        for node in sorted(self._parts.absent - absent):
            self._parts.out.append(Log("info", f"node {node} is back"))
        self._parts.absent = absent


def _serves(member: Member) -> bool:
    return member.declared is not State.UNHEALTHY
