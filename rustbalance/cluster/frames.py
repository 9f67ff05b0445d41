"""
Frames: messages that say who sent them, that nobody else can read or change, and that count once.

Owns: sealing, and that a sender is heard, as itself and once. In: messages, or frames; out: the other, or ``Refused``.
Whatever carries a frame need not be trusted.

A frame is encrypted and authenticated with a key of the cluster token, which keeps outsiders out, and inside that
signed with the key of its node, which keeps members from speaking for each other. It carries the sender's boot id and
a sequence number, which make it count once, and the time, which makes an old one count never.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from rustbalance.cluster.envelope import MAX_FRAME, NONCE, OVERHEAD, Envelope, Header, Signed, pack
from rustbalance.cluster.keys import KeyRing, NodeKey, Purpose
from rustbalance.cluster.messages import (
    IntroPoints,
    JoinRequest,
    JoinResponse,
    MalformedMessage,
    Message,
    NodeId,
    NodeRecord,
    PeerAnnounce,
    decode,
    encode,
)
from rustbalance.cluster.records import NotSigned, check_record
from rustbalance.cluster.refusals import Reason, Refused, check_clock, check_signature, check_term, read_message, unseal
from rustbalance.cluster.replay import SKEW, ReplayGuard
from rustbalance.moment import Moment

__all__ = ["FrameOpener", "FrameSealer", "MessageTooLarge", "Opened", "Reason", "Refused", "nobody", "opened", "seal"]

MAX_MESSAGE: Final = MAX_FRAME - OVERHEAD
"""Bytes of the largest message, encoded."""
LATE: Final = 30.0
"""
Seconds that a frame may be old when it goes on where we last heard its sender, and says what stays true.

Introduction points and records are large and circuits are slow; each says with a number what it takes the place of, so
that holding one up gains nobody anything. A sign of life or a claim that is held up would: those are for ``skew`` only.
"""
LASTING: Final = (IntroPoints, PeerAnnounce)
MOST_STRANGERS: Final = 64
"""Keys of those who have introduced themselves that are remembered beside the members': anybody can have many."""


class MessageTooLarge(ValueError):
    """A message of ours does not fit into a frame."""


@dataclass(frozen=True)
class Opened:
    """A message, and who has said it when; ``wall`` is the Unix time on the sender's clock."""

    sender: NodeId
    public_key: bytes
    boot: bytes
    sequence: int
    wall: float
    message: Message


def seal(
    message: bytes,
    *,
    ring: KeyRing,
    node_key: NodeKey,
    sender: NodeId,
    boot: bytes,
    sequence: int,
    wall: float,
    random_bytes: Callable[[int], bytes],
    purpose: Purpose = Purpose.MESH,
) -> bytes:
    """
    Return the frame of an encoded message. ``sequence`` must be larger than that of any frame before it in this boot.

    :raises MessageTooLarge: it would be more than ``MAX_FRAME``.
    """
    if len(message) > MAX_MESSAGE:
        raise MessageTooLarge(f"a message must have at most {MAX_MESSAGE} bytes, not {len(message)}")
    header = Header(purpose, ring.current.key_id)
    envelope = Envelope(sender, boot, sequence, wall, message)
    return pack(envelope, header, ring.current.of(purpose), node_key, random_bytes(NONCE))


class FrameSealer:
    """
    Seals what this node says, and counts.

    ``boot`` are 16 random bytes, new for each start. ``ring`` may be replaced at any time.
    """

    def __init__(
        self, ring: KeyRing, node_key: NodeKey, sender: NodeId, boot: bytes, random_bytes: Callable[[int], bytes]
    ) -> None:
        self.ring = ring
        self.sequence = 0
        self._node_key = node_key
        self._sender = sender
        self._boot = boot
        self._random_bytes = random_bytes

    def seal(self, message: Message, now: Moment, purpose: Purpose = Purpose.MESH) -> bytes:
        """
        Return the next frame.

        :raises MessageTooLarge: the message does not fit into one.
        """
        self.sequence += 1
        return seal(
            encode(message),
            ring=self.ring,
            node_key=self._node_key,
            sender=self._sender,
            boot=self._boot,
            sequence=self.sequence,
            wall=now.wall,
            random_bytes=self._random_bytes,
            purpose=purpose,
        )


def nobody(record: NodeRecord) -> bool:
    """Let no stranger in."""
    return False


class FrameOpener:
    """
    Opens what others say, and counts what it refuses.

    ``members`` gives the public key of a node, or None when it is no member. A node that is none is heard only when it
    announces itself, with a record that it has signed, and ``welcome`` says yes to that record; of its announcement
    nothing else is left. ``skew`` is how many seconds a frame's time may differ from ours (but see ``LATE``). ``ring``
    may be replaced at any time.
    """

    def __init__(
        self,
        ring: KeyRing,
        members: Callable[[NodeId], bytes | None],
        *,
        skew: float = SKEW,
        welcome: Callable[[NodeRecord], bool] = nobody,
    ) -> None:
        self.ring = ring
        self.skew = skew
        self.rejected: Counter[Reason] = Counter()
        self._members = members
        self._welcome = welcome
        self._guard = ReplayGuard(skew)
        self._met: dict[bytes, NodeId] = {}

    def open(self, data: bytes, now: Moment) -> Opened:
        """
        Return the message in a frame; the same frame is opened once.

        :raises Refused: it is not taken, whatever the bytes are. Nothing else is raised.
        """
        try:
            return self._open(data, now)
        except Refused as refusal:
            self.rejected[refusal.reason] += 1
            raise

    def forget(self, public_key: bytes) -> None:
        """A node is no member any more: forget what was heard of it."""
        self._guard.forget(public_key)

    def _open(self, data: bytes, now: Moment) -> Opened:
        signed = unseal(data, self.ring, Purpose.MESH, now)
        envelope = signed.envelope
        public_key, stranger = self._members(envelope.sender), None
        if public_key is None:
            stranger = self._stranger(signed)
            public_key = stranger.public_key
        check_signature(signed, public_key)
        check_clock(envelope, self._patience(envelope, public_key, now), self.skew, now)
        if not self._guard.is_new(public_key, envelope.boot, envelope.sequence, envelope.wall, now.mono):
            raise Refused(Reason.REPLAY, "the frame, or a later one, was heard before", envelope.sender)
        self._guard.note(public_key, envelope.boot, envelope.sequence, envelope.wall, now.mono)
        if stranger is not None:
            self._remember(stranger)
            return opened(envelope, public_key, PeerAnnounce(records=(stranger,)))
        message = read_message(envelope)
        _check_said_by(message, envelope.sender)
        check_term(message, envelope.sender, self.skew, now)
        return opened(envelope, public_key, message)

    def _remember(self, stranger: NodeRecord) -> None:
        """Of many strangers forget the first, unless it is a member by now."""
        self._met.pop(stranger.public_key, None)
        self._met[stranger.public_key] = stranger.id
        if len(self._met) > MOST_STRANGERS:
            key, name = next(iter(self._met.items()))
            del self._met[key]
            if self._members(name) != key:
                self._guard.forget(key)

    def _patience(self, envelope: Envelope, public_key: bytes, now: Moment) -> float:
        """Return how many seconds a frame may be old."""
        if now.wall - envelope.wall <= self.skew or not self._guard.follows(
            public_key, envelope.boot, envelope.sequence
        ):
            return self.skew
        return max(self.skew, LATE) if _is_lasting(envelope) else self.skew

    def _stranger(self, signed: Signed) -> NodeRecord:
        """Return the record of a node that is no member and says who it is."""
        record = _introduction(signed.envelope)
        if record is not None:
            check_signature(signed, record.public_key)
        if record is None or not self._welcome(record):
            raise Refused(Reason.UNKNOWN_SENDER, "the sender is no member of this cluster")
        return record


def opened(envelope: Envelope, public_key: bytes, message: Message) -> Opened:
    """Return the message with what the envelope says of it."""
    return Opened(envelope.sender, public_key, envelope.boot, envelope.sequence, envelope.wall, message)


def _check_said_by(message: Message, sender: NodeId) -> None:
    if isinstance(message, JoinRequest | JoinResponse):
        raise Refused(Reason.MALFORMED, "joining is no message of the mesh", sender)
    if isinstance(message, IntroPoints) and message.source != sender:
        raise Refused(Reason.BAD_SIGNATURE, "a node offers introduction points in the name of another", sender)


def _is_lasting(envelope: Envelope) -> bool:
    try:
        return isinstance(decode(envelope.message), LASTING)
    except MalformedMessage:
        return False


def _introduction(envelope: Envelope) -> NodeRecord | None:
    """Return the record in which the sender announces itself, if the frame has one that it has signed."""
    try:
        message = decode(envelope.message)
        records = message.records if isinstance(message, PeerAnnounce) else ()
        record = next((record for record in records if record.id == envelope.sender), None)
        if record is not None:
            check_record(record)
    except (MalformedMessage, NotSigned):
        return None
    return record
