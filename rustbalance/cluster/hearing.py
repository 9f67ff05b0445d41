"""
What this node makes of what others say.

Owns: the meaning of each message. In: opened messages with monotonic times; out: changes in the parts, and answers.
Pure.
"""

import msgspec

from rustbalance.cluster.commands import Log
from rustbalance.cluster.election import is_possible, term_round
from rustbalance.cluster.membership import Member
from rustbalance.cluster.messages import (
    Heartbeat,
    IntroPoints,
    LeaseClaim,
    LeaseRelease,
    Message,
    NodeId,
    PeerAnnounce,
    PeerState,
    State,
)
from rustbalance.cluster.parts import Parts

LARGEST_LEAP = 2**20
"""
Incarnations by which others may be ahead of what we know of a node: it began none of them by the million. What goes
further can only be meant to do harm: a node that has no number left can speak for itself no more.
"""
MOST_TAKEOVERS = 1000
"""Takeovers that we may have missed; who tells of more is named in the log."""


def believable(message: Message, wall: float) -> Message | None:
    """
    Return what of a message can be true at the Unix time ``wall``: no term can have been claimed before its time.

    A heartbeat may tell of another's term, and of a good deal else: it is heard without that.
    """
    match message:
        case LeaseClaim(term=term) | LeaseRelease(term=term) if not is_possible(term, wall):
            return None
        case Heartbeat(term=term) if not is_possible(term, wall):
            return msgspec.structs.replace(message, term=0, publisher=None, lease_left=0.0)
    return message


class Hearing:
    """The ears of the node whose ``parts`` these are."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def hear(self, sender: NodeId, message: Message, now: float) -> None:
        """``sender`` says this; a node that is no member can only announce records."""
        before = term_round(self._parts.succession.lease.term)
        self._hear(sender, message, now)
        after = term_round(self._parts.succession.lease.term)
        if before and after > before + MOST_TAKEOVERS:
            line = f"{sender} tells of takeover {after}, the last that was known is {before}: rounds are being used up"
            self._parts.out.append(Log("warn", line))

    def _hear(self, sender: NodeId, message: Message, now: float) -> None:
        parts = self._parts
        member = parts.members.get(sender)
        match message:
            case Heartbeat() if member is not None:
                self._heartbeat(member, message, now)
            case IntroPoints() if member is not None and message.source == sender:
                self._points(member, message, now)
            case PeerAnnounce(records=records, forgotten=forgotten):
                parts.learn_forgotten(forgotten)
                parts.learn_records(records, now)
                own = next((record for record in records if record.id == sender), None)
                if own is not None and parts.members.get(sender) is None:
                    parts.introduced(own, now)
            case LeaseClaim() if member is not None:
                if parts.succession.claimed(sender, message, now):
                    parts.out.append(parts.speech.tell(member, now))
            case LeaseRelease() if member is not None:
                parts.succession.lease.release(sender, message.term)

    def _points(self, member: Member, points: IntroPoints, now: float) -> None:
        self._parts.learn_revisions(points.revisions)
        if self._parts.sources.put(member.id, member.incarnation, points, now):
            self._parts.restless = True

    def _heartbeat(self, member: Member, heartbeat: Heartbeat, now: float) -> None:
        parts = self._parts
        parts.learn_revisions(heartbeat.revisions)
        if heartbeat.incarnation < member.incarnation:
            parts.out.append(parts.speech.tell(member, now))
            return
        self._alive(member, heartbeat.incarnation, heartbeat.beat, now)
        told = [entry.id for entry in heartbeat.states if self._news(member.id, entry, now)]
        if (heartbeat.incarnation, heartbeat.beat) > member.spoke:
            member.spoke = (heartbeat.incarnation, heartbeat.beat)
            news = heartbeat.publisher in (None, member.id) or heartbeat.publisher in told
            parts.succession.heartbeat(member.id, heartbeat, news, now)
            self._declared(member, heartbeat, now)
            self._compare(member, heartbeat, now)

    def _declared(self, member: Member, heartbeat: Heartbeat, now: float) -> None:
        """The node itself says how it is."""
        parts = self._parts
        before = (member.declared, member.drained, member.present)
        member.declared, member.drained, member.priority = heartbeat.state, heartbeat.drained, heartbeat.priority
        if parts.sources.announced(member.id, heartbeat.incarnation, heartbeat.points_version, now):
            parts.restless = True
        if heartbeat.state is State.DEAD and member.spoke == member.evidence:
            parts.members.leave(member)
        if before != (member.declared, member.drained, True):
            parts.restless = True

    def _compare(self, member: Member, heartbeat: Heartbeat, now: float) -> None:
        """Help out a node that knows other records than we do, or takes itself for what it is not."""
        parts = self._parts
        parts.out += parts.speech.objections(member.id)
        if heartbeat.table != parts.table.digest(parts.own.record):
            parts.out += parts.speech.table(member.id, now)
        if heartbeat.publisher == member.id and parts.succession.lease.publisher(now) == parts.me:
            parts.out.append(parts.speech.tell(member, now))

    def _news(self, sender: NodeId, entry: PeerState, now: float) -> bool:
        """``sender`` believes this of somebody; return whether it proves a later beat of it."""
        parts = self._parts
        if entry.id == parts.me:
            self._about_us(sender, entry, now)
            return False
        member = parts.members.get(entry.id)
        if member is None or entry.incarnation > member.incarnation + LARGEST_LEAP:
            return False
        if entry.state is State.DEAD:
            parts.restless |= parts.members.accuse(member, entry.incarnation, entry.beat, now)
            return False
        return self._alive(member, entry.incarnation, entry.beat, now, relayed=True)

    def _alive(self, member: Member, incarnation: int, beat: int, now: float, *, relayed: bool = False) -> bool:
        """It had lived to that beat; points of an earlier incarnation are out of date from here."""
        known = member.incarnation
        fresh = self._parts.members.hear(member, incarnation, beat, now, relayed=relayed)
        self._parts.restless |= member.incarnation > known or (fresh and not member.present)
        return fresh

    def _about_us(self, sender: NodeId, entry: PeerState, now: float) -> None:
        """Refute what is not true of us: that we are dead, or an incarnation that we know nothing of."""
        own = self._parts.own
        if entry.incarnation > own.incarnation + LARGEST_LEAP:
            return
        ahead = (entry.incarnation, entry.beat) > (own.incarnation, own.beat)
        if ahead or (entry.state is State.DEAD and entry.incarnation == own.incarnation):
            self._parts.reincarnate(entry.incarnation)
        elif (entry.state, entry.incarnation) == (
            State.INITIALIZING,
            own.incarnation,
        ) and entry.beat > own.changed_beat:
            self._parts.out += self._parts.speech.points(sender, now)
