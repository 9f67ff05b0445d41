"""
Who is there.

Owns: the life of each node as seen from here, joining to dead, and the evidence for it. In: what was heard of whom, and
monotonic times; out: states. Pure.

What travels is each node's own count of its heartbeats (with its incarnation), never an age: old news, however late or
by whatever way it comes, cannot make anybody look alive, and a verdict of death that rests on an older count than ours
cannot kill anybody. A node that restarts, or is said to be dead, begins a new incarnation.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rustbalance.cluster.messages import NodeId, State

NEVER = float("-inf")


@dataclass(slots=True)
class Member:
    """
    One other node.

    ``since``: when we came to expect it. ``known_before``: it was alive when we last ran. ``heard``: when we last
    learned of a later beat. ``declared``: what it says of itself, last in the beat ``spoke``. ``left``: it has said
    goodbye. ``dead_since`` has a meaning while it is dead only. ``newcomer``: it became a member while we published.
    ``doomed``: the last proof of life that somebody has had who takes it for dead.
    Times are monotonic.
    """

    id: NodeId
    since: float
    priority: int
    known_before: bool = False
    incarnation: int = 0
    beat: int = 0
    heard: float = NEVER
    spoke: tuple[int, int] = (0, 0)
    declared: State = State.JOINING
    state: State = State.JOINING
    drained: bool = False
    left: bool = False
    dead_since: float = NEVER
    newcomer: bool = False
    doomed: tuple[int, int] = (-1, -1)

    @property
    def unmet(self) -> bool:
        """Whether it is new and may never have been there: nobody whom we have lost, nor who knows more than we do."""
        return self.newcomer and self.heard == NEVER

    @property
    def evidence(self) -> tuple[int, int]:
        """The latest proof of life: incarnation and beat."""
        return (self.incarnation, self.beat)

    @property
    def present(self) -> bool:
        """Whether it was heard and is not dead."""
        return self.state not in (State.JOINING, State.DEAD)

    def missed_since(self) -> float:
        """Return the time from which its silence counts."""
        return max(self.since, self.heard)


@dataclass(frozen=True, slots=True)
class Census:
    """
    How many nodes, this one included, are ``present`` of those that are ``expected``.

    Expected are also those that have fallen silent so recently that it may be us who cannot hear them. ``quiet`` are
    those present ones that may be about to fall silent: not all are found missing at the same moment.
    """

    present: int
    expected: int
    quiet: int = 0

    @property
    def isolated(self) -> bool:
        """Whether we have lost more than half of them."""
        return 2 * self.present < self.expected

    @property
    def doubtful(self) -> bool:
        """Whether we may find in a moment that we have lost more than half of them."""
        return 2 * (self.present - self.quiet) < self.expected


class Membership:
    """The other nodes. ``timeout`` and ``patience`` are in seconds (see ``ClusterSettings``)."""

    def __init__(self, timeout: float, patience: float) -> None:
        self._timeout = timeout
        self._patience = patience
        self._members: dict[NodeId, Member] = {}

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members.values())

    def __len__(self) -> int:
        return len(self._members)

    def get(self, node: NodeId) -> Member | None:
        """Return the member of that name, None when it is not known."""
        return self._members.get(node)

    def expect(self, node: NodeId, priority: int, now: float, *, newcomer: bool = False) -> None:
        """A record of it is known: it should be heard soon."""
        member = self._members.setdefault(node, Member(node, now, priority, newcomer=newcomer))
        member.priority = priority

    def recall(self, node: NodeId, priority: int, now: float, *, alive: bool) -> None:
        """It was a member when we last ran, ``alive`` or dead; for a dead one nobody waits."""
        member = self._members[node] = Member(node, now, priority, known_before=alive)
        if not alive:
            member.state, member.dead_since = State.DEAD, NEVER

    def remove(self, node: NodeId) -> None:
        """It is no member any more."""
        self._members.pop(node, None)

    def hear(self, member: Member, incarnation: int, beat: int, now: float, *, relayed: bool = False) -> bool:
        """
        It had lived to that beat; return whether that is news.

        What others relay is none after somebody has told that nothing was heard of it since: they do not know yet.
        """
        if (incarnation, beat) <= member.evidence:
            return False
        member.incarnation, member.beat = incarnation, beat
        if relayed and (incarnation, beat) <= member.doomed:
            return False
        member.heard, member.left = now, False
        return True

    def accuse(self, member: Member, incarnation: int, beat: int, now: float) -> bool:
        """
        Somebody has heard nothing of it since that beat, or since it said goodbye; return whether we believe it.

        We do if we know no better and miss it ourselves, so that one bad path does not kill it for everybody. One that
        we never knew alive is nobody whom we have lost. That one which has died on us had lived to that beat brings it
        back no more.
        """
        if (incarnation, beat) < member.evidence:
            return False
        member.doomed = max(member.doomed, (incarnation, beat))
        unheard = member.heard == NEVER
        if member.state is State.DEAD:
            if not unheard:
                member.incarnation, member.beat = incarnation, beat
            return False
        if not (unheard and member.state is State.JOINING) and now - member.missed_since() < self._timeout / 2:
            return False
        member.incarnation, member.beat = incarnation, beat
        strange = unheard and not member.known_before
        member.state, member.dead_since = State.DEAD, NEVER if strange else now
        return True

    def leave(self, member: Member) -> None:
        """It has said goodbye: its silence from now on means nothing else."""
        member.state, member.left, member.dead_since = State.DEAD, True, NEVER

    def settle(self, has_points: Callable[[Member], bool], now: float) -> bool:
        """Bring all states up to date; return whether any has changed. ``has_points``: whether we hold its points."""
        changed = False
        for member in self:
            state = self._state(member, has_points, now)
            if state is not member.state:
                changed = True
                if state is State.DEAD:
                    member.dead_since = now
                member.state = state
        return changed

    def census(self, now: float) -> Census:
        """Count those that are here against those that should be."""
        present = 1 + sum(member.present for member in self)
        missing = sum(
            member.state is State.JOINING or (member.state is State.DEAD and now < member.dead_since + self._patience)
            for member in self
            if not member.unmet
        )
        quiet = sum(member.present and now >= member.heard + self._timeout / 2 for member in self)
        return Census(present, present + missing, quiet)

    def due(self, now: float) -> float:
        """Return the monotonic second at which silence or patience next changes something, at the earliest."""
        return min((time for member in self if (time := self._next(member)) > now), default=float("inf"))

    def excuse(self, seconds: float) -> None:
        """We were not running for so long: nobody's silence in that time counts."""
        for member in self:
            member.since += seconds
            member.heard += seconds
            member.dead_since += seconds

    def _next(self, member: Member) -> float:
        if member.state is State.DEAD:
            return member.dead_since + self._patience
        return member.missed_since() + self._timeout

    def _state(self, member: Member, has_points: Callable[[Member], bool], now: float) -> State:
        if member.state is State.DEAD and (member.left or member.heard <= member.dead_since):
            return State.DEAD
        if now >= member.missed_since() + self._timeout:
            return State.DEAD
        if member.heard == NEVER:
            return State.JOINING
        if member.declared is State.UNHEALTHY:
            return State.UNHEALTHY
        return State.HEALTHY if has_points(member) else State.INITIALIZING
