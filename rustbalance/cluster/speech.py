"""
What this node says, and to whom.

Owns: the contents and the audience of heartbeats, and how often anything is repeated to the same node. In: what the
other parts know; out: ``Send`` commands. Pure.
"""

from collections.abc import Callable, Iterable, Iterator

from rustbalance.cluster.commands import Send
from rustbalance.cluster.gossip import PeerTable, Rounds, audience
from rustbalance.cluster.membership import NEVER, Member, Membership
from rustbalance.cluster.messages import Forgotten, Heartbeat, NodeId, NodeRecord, PeerAnnounce, PeerState, State
from rustbalance.cluster.own import Own
from rustbalance.cluster.revisions import Revisions
from rustbalance.cluster.settings import ClusterSettings
from rustbalance.cluster.sources import Sources
from rustbalance.cluster.succession import Succession

FLOOD = 8
"""Nodes of a large cluster to which each node passes on a record that is new to it."""


class Speech:
    """The voice of this node; ``random`` numbers from 0 to 1 decide who is spoken to first."""

    def __init__(
        self,
        own: Own,
        table: PeerTable,
        members: Membership,
        sources: Sources,
        succession: Succession,
        revisions: Revisions,
        settings: ClusterSettings,
        random: Callable[[], float],
    ) -> None:
        self._own = own
        self._table = table
        self._members = members
        self._sources = sources
        self._succession = succession
        self._revisions = revisions
        self._settings = settings
        self._listeners = Rounds(random)
        self._subjects = Rounds(random)
        self._flooded = Rounds(random)
        self._missed = Rounds(random)
        self._sent_points: dict[NodeId, float] = {}
        self._sent_table = NEVER

    def beat(self, now: float, *, urgent: bool) -> Iterator[Send]:
        """
        Yield our heartbeat for everybody whose turn it is, or just everybody; our own lease runs from here.

        One of those that are not heard is told who we are: it may not know.
        """
        self._own.beat += 1
        self._succession.renew(now)
        heartbeat = self._heartbeat(self._subject_matter(), now, thorough=urgent)
        count = len(self._members)
        hearing = count if urgent else audience(count, self._settings.fanout)
        yield from self._send(heartbeat, hearing, self._listeners)
        missed = {member.id: None for member in self._members if not member.present}
        for node in self._missed.next(missed, 1):
            yield Send(node, PeerAnnounce(records=(self._own.record,)))
        for member in self._members:
            if count > self._settings.fanout and member.present and self._sources.lacks(member.id):
                yield self.tell(member, now)

    def tell(self, member: Member, now: float) -> Send:
        """Return a heartbeat for one node, with what we believe of it."""
        return Send(member.id, self._heartbeat([member], now, thorough=False))

    def points(self, node: NodeId, now: float) -> Iterator[Send]:
        """Yield all our sets for a node that does not have them, unless it was just sent them."""
        if now < self._sent_points.get(node, NEVER) + self._settings.heartbeat_interval / 2:
            return
        self._sent_points[node] = now
        yield from (Send(node, points) for points in self._own.sets.values())

    def objections(self, node: NodeId) -> Iterator[Send]:
        """Yield, for a node that is here, what speaks against its being a member: it may not know."""
        record = self._table.get(node)
        if record is None or not self._table.is_unwanted(record):
            return
        rival, verdict = self._table.rival(record), self._table.verdict(record)
        records = (self._own.record,) if rival is None else (self._own.record, rival)
        yield Send(node, PeerAnnounce(records=records, forgotten=() if verdict is None else (verdict,)))

    def table(self, node: NodeId, now: float) -> Iterator[Send]:
        """Yield all that we know of who is a member, for a node that knows otherwise; not too often."""
        if now < self._sent_table + 2 * self._settings.heartbeat_interval:
            return
        self._sent_table = now
        yield Send(node, PeerAnnounce(records=(self._own.record, *self._table), forgotten=self._table.former()))

    def announce(self, records: Iterable[NodeRecord], forgotten: Iterable[Forgotten] = ()) -> Iterator[Send]:
        """Yield these for everybody, or in a large cluster for enough nodes that everybody hears of them."""
        message = PeerAnnounce(records=tuple(records), forgotten=tuple(forgotten))
        own = message.records == (self._own.record,)
        few = own or len(self._members) <= self._settings.fanout
        yield from self._send(message, len(self._members) if few else FLOOD, self._flooded)

    def _send(self, message: Heartbeat | PeerAnnounce, count: int, rounds: Rounds) -> Iterator[Send]:
        if count >= len(self._members):
            yield Send(None, message)
        else:
            candidates = {member.id: None for member in self._members}
            yield from (Send(node, message) for node in rounds.next(candidates, count))

    def _subject_matter(self) -> list[Member]:
        known = {member.id: member for member in self._members if member.heard > NEVER or member.state is State.DEAD}
        if len(self._members) <= self._settings.fanout:
            return list(known.values())
        claim = self._succession.lease.claim
        chosen = self._subjects.next(known, self._settings.entries)
        if claim is not None and claim.holder in known and claim.holder not in chosen:
            chosen.append(claim.holder)
        return [known[node] for node in chosen]

    def _heartbeat(self, subjects: Iterable[Member], now: float, *, thorough: bool) -> Heartbeat:
        own, lease = self._own, self._succession.lease
        publisher = lease.publisher(now)
        thorough |= self._succession.claims or len(self._members) <= self._settings.fanout
        return Heartbeat(
            beat=own.beat,
            incarnation=own.incarnation,
            priority=own.record.priority,
            state=own.state(),
            term=lease.term if publisher is None or lease.claim is None else lease.claim.term,
            publisher=publisher,
            lease_left=0.0 if publisher is None else lease.expires - now,
            points_version=own.announced(),
            drained=own.drained,
            target_healthy=own.target_healthy,
            table=self._table.digest(own.record),
            states=tuple(PeerState(each.id, each.incarnation, self._belief(each), each.beat) for each in subjects),
            revisions=self._revisions.known() if thorough else {},
        )

    def _belief(self, member: Member) -> State:
        """Return what we say of it; a node that is said to be initializing sends its points to whoever says so."""
        lacking = member.present and self._sources.lacks(member.id)
        return State.INITIALIZING if lacking else member.state
