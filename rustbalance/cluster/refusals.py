"""
What every frame must stand, whoever it is from.

Owns: the reasons to refuse one, and the checks that need no memory. In: bytes, keys, a ``Moment``; out: what is in the
frame, or ``Refused``. What was heard before is for ``frames.py`` and ``join_frames.py``.
"""

from enum import StrEnum

from rustbalance.cluster.election import SPARE, is_possible
from rustbalance.cluster.envelope import MAX_FRAME, Envelope, MalformedFrame, Signed, read_header, unpack
from rustbalance.cluster.keys import KeyRing, Purpose
from rustbalance.cluster.messages import (
    Heartbeat,
    LeaseClaim,
    LeaseRelease,
    MalformedMessage,
    Message,
    NodeId,
    decode,
)
from rustbalance.moment import Moment


class Reason(StrEnum):
    """Why a frame was not opened: the label of ``messages_rejected_total``."""

    OVERSIZED = "oversized"
    MALFORMED = "malformed"
    UNKNOWN_KEY = "unknown_key"
    BAD_MAC = "bad_mac"
    UNKNOWN_SENDER = "unknown_sender"
    BAD_SIGNATURE = "bad_signature"
    STALE_CLOCK = "stale_clock"
    REPLAY = "replay"


class Refused(ValueError):
    """
    A frame is not taken; ``reason`` is the label to count it by.

    ``sender`` is the member that has signed it, None as long as that was not proved. ``ahead`` are the seconds by which
    its clock is ahead of ours (negative: behind), for ``stale_clock`` only.
    """

    def __init__(self, reason: Reason, sentence: str, sender: NodeId | None = None, ahead: float | None = None) -> None:
        super().__init__(sentence)
        self.reason = reason
        self.sender = sender
        self.ahead = ahead


def unseal(data: bytes, ring: KeyRing, purpose: Purpose, now: Moment) -> Signed:
    """
    Open the outer part of a frame.

    :raises Refused: it is oversized or malformed, its key is not known, or it was not sealed with that key.
    """
    if len(data) > MAX_FRAME:
        raise Refused(Reason.OVERSIZED, f"a frame must have at most {MAX_FRAME} bytes, not {len(data)}")
    try:
        header = read_header(data)
        if header.purpose is not purpose:
            raise Refused(Reason.MALFORMED, f"a frame must be for the purpose {purpose} here")
        keys = ring.find(header.key_id, now.wall)
        if keys is None:
            raise Refused(Reason.UNKNOWN_KEY, "the frame is sealed for another cluster token")
        signed = unpack(data, header, keys.of(purpose))
    except MalformedFrame as error:
        raise Refused(Reason.MALFORMED, str(error)) from None
    if signed is None:
        raise Refused(Reason.BAD_MAC, "the frame was changed, or sealed with another key")
    return signed


def check_signature(signed: Signed, public_key: bytes) -> None:
    """
    See that the sender has signed it.

    :raises Refused: somebody else has.
    """
    if not signed.is_signed_by(public_key):
        raise Refused(Reason.BAD_SIGNATURE, "the frame is not signed by the node that it says it is from")


def check_clock(envelope: Envelope, behind: float, before: float, now: Moment) -> None:
    """
    See that a frame's time is at most ``behind`` seconds behind ours, and ``before`` before it.

    :raises Refused: it is not.
    """
    ahead = envelope.wall - now.wall
    if not -behind <= ahead <= before:
        sentence = f"the sender's clock is {abs(ahead):.1f} s {'ahead' if ahead > 0 else 'behind'}, or it took as long"
        raise Refused(Reason.STALE_CLOCK, sentence, envelope.sender, ahead)


def read_message(envelope: Envelope) -> Message:
    """
    Return the message in an envelope whose sender is proved.

    :raises Refused: it is malformed.
    """
    try:
        return decode(envelope.message)
    except MalformedMessage as error:
        raise Refused(Reason.MALFORMED, str(error), envelope.sender) from None


def check_term(message: Message, sender: NodeId, skew: float, now: Moment) -> None:
    """
    See that a sender, whose clock differs from ours by up to ``skew`` seconds, claims no term before its time.

    What a heartbeat tells of the terms of others is not the sender's to answer for.

    :raises Refused: it does; no node that keeps to the rules would.
    """
    match message:
        case LeaseClaim(term=term) | LeaseRelease(term=term):
            own = term
        case Heartbeat(term=term, publisher=publisher) if publisher == sender:
            own = term
        case _:
            return
    if not is_possible(own, now.wall, max(SPARE, skew)):
        raise Refused(Reason.MALFORMED, "it claims a term whose time has not come", sender)
