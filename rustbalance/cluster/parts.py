"""
What the parts of a node's cluster core share.

Owns: that there is one of each part, and what they want done. In: a record, settings, what was kept; out: the parts.
Pure.
"""

from collections.abc import Callable, Iterable

from rustbalance.cluster.commands import Command, MembersChanged, PersistedState, RevisionsLearned, Send
from rustbalance.cluster.gossip import PeerTable
from rustbalance.cluster.membership import Membership
from rustbalance.cluster.messages import NodeId, NodeRecord, PeerAnnounce
from rustbalance.cluster.own import Own
from rustbalance.cluster.revisions import Revisions
from rustbalance.cluster.settings import ClusterSettings
from rustbalance.cluster.sources import Sources
from rustbalance.cluster.speech import Speech
from rustbalance.cluster.succession import Succession


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
        self.settings = settings
        self.own = Own(me, sign, kept.incarnation, kept.points_version)
        self.table = PeerTable(me.id, trusted)
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
            self.members.expect(record.id, record.priority, now)
        self.restless = True
        self.out.append(MembersChanged(tuple(self.table)))
        self.out += self.speech.announce(fresh)
        self.out += (Send(node, PeerAnnounce(records=(self.own.record,))) for node in strangers)

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
        )
