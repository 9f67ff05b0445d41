"""
What the parts of a node's cluster core share.

Owns: that there is one of each part, and what they want done. In: a record, settings, what was kept; out: the parts.
Pure.
"""

from collections.abc import Callable, Iterable, Sequence

from rustbalance.cluster.commands import Command, Log, MembersChanged, PersistedState, RevisionsLearned, Send
from rustbalance.cluster.gossip import PeerTable
from rustbalance.cluster.membership import Membership
from rustbalance.cluster.messages import Forgotten, NodeId, NodeRecord, PeerAnnounce, State
from rustbalance.cluster.own import Own
from rustbalance.cluster.revisions import Revisions
from rustbalance.cluster.settings import ClusterSettings
from rustbalance.cluster.sources import Sources
from rustbalance.cluster.speech import Speech
from rustbalance.cluster.succession import Succession


class CannotForget(ValueError):
    """A node cannot be forgotten; the sentence says why."""


class Parts:
    """
    The parts, wired up.

    ``out``: commands in the order in which they are to be performed. ``restless``: something has changed that
    conclusions are drawn from. ``speak``: others should hear of it now and not with the next heartbeat. ``absent``: the
    members that are dead.
    """

    def __init__(
        self,
        me: NodeRecord,
        settings: ClusterSettings,
        kept: PersistedState,
        random: Callable[[], float],
        sign: Callable[[NodeRecord], NodeRecord],
        trusted: Callable[[NodeRecord], bool],
    ) -> None:
        self.me = me.id
        self._trusted = trusted
        self.settings = settings
        self.own = Own(me, sign, kept.incarnation, kept.points_version)
        self.table = PeerTable(me, trusted)
        self.members = Membership(settings.heartbeat_timeout, settings.isolation_patience)
        self.sources = Sources(settings.points_patience, settings.points_lifetime)
        self.revisions = Revisions(kept.revisions)
        self.succession = Succession(me.id, me.priority, settings, self.rivals, random, kept.term)
        self.speech = Speech(
            self.own, self.table, self.members, self.sources, self.succession, self.revisions, settings, random
        )
        self.out: list[Command] = []
        self.restless = True
        self.speak = False
        self.absent: frozenset[NodeId] = frozenset(kept.absent)

    def rivals(self) -> Iterable[tuple[int, NodeId]]:
        """Return priority and name of every other node that could publish now."""
        return [(each.priority, each.id) for each in self.members if each.present and not each.drained]

    def reincarnate(self, beyond: int, addresses: tuple[str, ...] | None = None) -> None:
        """Begin the incarnation after ``beyond``, and let everybody know."""
        self.own.reincarnate(beyond, addresses)
        self.table.renew()
        self.speak = True
        self.out += self.speech.announce([self.own.record])

    def learn_records(self, records: Iterable[NodeRecord], now: float) -> None:
        """These nodes are members; pass on what is new, and make ourselves known to who is new."""
        fresh = self.table.merge(records)
        if not fresh:
            return
        strangers = [record.id for record in fresh if self.members.get(record.id) is None]
        for record in fresh:
            self.members.expect(record.id, record.priority, now, newcomer=self.succession.publishing)
        self.restless = True
        self.out.append(self.membership())
        self.out += self.speech.announce(fresh)
        self.out += (Send(node, PeerAnnounce(records=(self.own.record,))) for node in strangers)

    def introduced(self, record: NodeRecord, now: float) -> None:
        """
        A node has come itself, perhaps one that is no member any more: it is told, and may begin another incarnation.

        Until it does, or falls silent, it is a member like all others.
        """
        self.learn_records([record], now)
        if self.table.introduce(record):
            self.members.expect(record.id, record.priority, now)
            self.restless = True
            self.out.append(self.membership())
            self.out += self.speech.objections(record.id)

    def forget(self, node: NodeId, wall: float) -> None:
        """
        An operator says that a node is gone for good.

        :raises CannotForget: it is this one or none, or may yet be heard.
        """
        member, record = self.members.get(node), self.table.get(node)
        if node == self.me:
            raise CannotForget(f"{node} is this node: stop it, and forget it from another one")
        if member is None or record is None:
            known = ", ".join(sorted(each.id for each in self.members)) or "none"
            raise CannotForget(f"there is no other node {node}; known are: {known}")
        if member.state is not State.DEAD:
            raise CannotForget(f"node {node} is {member.state}: stop it first, and wait until it is not heard any more")
        self.learn_forgotten([Forgotten(record, int(wall))])

    def learn_forgotten(self, forgotten: Sequence[Forgotten]) -> None:
        """These are members no more, except those that are here: they are about to say so. Pass on what is new."""
        mine = self.own.record.public_key
        about_us = (each.record for each in forgotten if each.record.public_key == mine)
        ours = [record.incarnation for record in about_us if self._trusted(record)]
        if ours and max(ours) >= self.own.incarnation:
            self.out.append(Log("warn", "this node had been forgotten by the others: it comes back"))
            self.reincarnate(max(ours))
        fresh = self.table.forget(forgotten)
        if fresh:
            self.restless = True
            self.out.append(self.membership())
            self.out += self.speech.announce((), fresh)

    def drop_unwanted(self) -> None:
        """Let those go that are silent and are members no more."""
        silent = [member.id for member in self.members if member.state is State.DEAD]
        records = [record for node in silent if (record := self.table.get(node)) is not None]
        gone = [record for record in records if self.table.is_unwanted(record)]
        for record in gone:
            rival = self.table.rival(record)
            why = "forgotten" if rival is None else f"out: {rival.id} had joined with the same bundle"
            self.out.append(Log("warn", f"node {record.id} is {why}"))
            self.table.remove(record.id)
            self.members.remove(record.id)
            self.sources.remove(record.id)
        if gone:
            self.absent -= {record.id for record in gone}
            self.out.append(self.membership())

    def expelled_by(self) -> NodeId | None:
        """Return the node that has joined with the same bundle as we and stays, None when there is none."""
        rival = self.table.rival(self.own.record)
        return None if rival is None else rival.id

    def membership(self) -> MembersChanged:
        """Return who is a member, and who was."""
        return MembersChanged(tuple(self.table), tuple(each.record for each in self.table.former()))

    def learn_revisions(self, revisions: dict[str, int]) -> None:
        """These counters have been used somewhere."""
        higher = self.revisions.learn(revisions)
        if higher:
            self.out.append(RevisionsLearned(higher))

    def stamp(self) -> tuple[object, ...]:
        """Return a value that differs when there is something else to keep."""
        table, revisions = self.table.generation, self.revisions.generation
        own = self.own
        return (own.incarnation, own.points_version, self.succession.lease.term, table, revisions, self.absent)

    def to_keep(self) -> PersistedState:
        """Return what must be found again after a restart."""
        return PersistedState(
            incarnation=self.own.incarnation,
            term=self.succession.lease.term,
            points_version=self.own.points_version,
            records=tuple(self.table),
            absent=tuple(sorted(self.absent)),
            revisions=dict(self.revisions.known()),
            forgotten=self.table.former(),
        )
