"""
The two frames of joining, whose senders nobody knows yet.

Owns: what proves a newcomer's request, and the answer to it. In: frames; out: what they say, or ``Refused``.

They are sealed with the cluster token's key for joining, and signed with the key in the record that they bring, so that
the token is proved and not sent, and nobody else can use what was overheard. Whether the ticket in a request lets its
sender in is for whoever answers.
"""

from collections import Counter
from typing import Final

from rustbalance.cluster.envelope import Signed
from rustbalance.cluster.frames import Opened, opened
from rustbalance.cluster.keys import KeyRing, Purpose
from rustbalance.cluster.messages import JoinRequest, JoinResponse, NodeRecord
from rustbalance.cluster.records import NotSigned, check_record
from rustbalance.cluster.refusals import Reason, Refused, check_clock, check_signature, read_message, unseal
from rustbalance.moment import Moment

LARGEST_REQUEST: Final = 8192
"""Bytes of the largest request; the least is one, since an empty one is malformed."""
OLDEST: Final = 300.0
"""Seconds that a request may be old: circuits are slow, and a new machine's clock may be off."""
NEWEST: Final = 60.0
"""Seconds that a request may be ahead of our clock."""


class JoinOpener:
    """
    Opens requests to join, and counts what it refuses.

    ``ring`` may be replaced at any time. That a request counts once is for whoever decides on it: what is refused need
    not be remembered, and who has nothing but the token can have everything refused.
    """

    def __init__(self, ring: KeyRing) -> None:
        self.ring = ring
        self.rejected: Counter[Reason] = Counter()

    def open(self, data: bytes, now: Moment) -> Opened:
        """
        Return a request (``message`` is a ``JoinRequest``) whose sender has the token and the key of its record.

        :raises Refused: it is not taken, whatever the bytes are. Nothing else is raised.
        """
        try:
            return self._open(data, now)
        except Refused as refusal:
            self.rejected[refusal.reason] += 1
            raise

    def _open(self, data: bytes, now: Moment) -> Opened:
        if len(data) > LARGEST_REQUEST:
            raise Refused(Reason.OVERSIZED, f"a request to join must have at most {LARGEST_REQUEST} bytes")
        signed = unseal(data, self.ring, Purpose.JOIN, now)
        envelope = signed.envelope
        request = read_message(envelope)
        if not isinstance(request, JoinRequest):
            raise Refused(Reason.MALFORMED, "only a request to join is answered here")
        _check_own_record(signed, request.record)
        check_clock(envelope, OLDEST, NEWEST, now)
        return opened(envelope, request.record.public_key, request)


def open_response(data: bytes, ring: KeyRing, nonce: bytes, now: Moment) -> JoinResponse:
    """
    Return the answer to the request that had ``nonce``, from somebody who has the token.

    Who answers is known from nothing but the answer: its sender must have signed it with the key of its record.

    :raises Refused: it is none.
    """
    signed = unseal(data, ring, Purpose.JOIN, now)
    response = read_message(signed.envelope)
    if not isinstance(response, JoinResponse):
        raise Refused(Reason.MALFORMED, "the answer to a request to join must be a response")
    _check_own_record(signed, response.record)
    if response.nonce != nonce:
        raise Refused(Reason.REPLAY, "the answer is to another request", signed.envelope.sender)
    check_clock(signed.envelope, OLDEST, OLDEST, now)
    return response


def _check_own_record(signed: Signed, record: NodeRecord) -> None:
    try:
        check_record(record)
    except NotSigned as error:
        raise Refused(Reason.BAD_SIGNATURE, str(error)) from None
    check_signature(signed, record.public_key)
    if record.id != signed.envelope.sender:
        raise Refused(Reason.UNKNOWN_SENDER, "the sender's record must be its own")
