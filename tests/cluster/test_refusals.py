"""Tests for L{rustbalance.cluster.refusals}."""

from collections.abc import Callable
from functools import partial

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.election import SPARE, latest_round
from rustbalance.cluster.envelope import MAX_FRAME, Envelope
from rustbalance.cluster.keys import KeyRing, Purpose
from rustbalance.cluster.messages import LeaseClaim, LeaseRelease, Message, PeerAnnounce, encode
from rustbalance.cluster.refusals import (
    Reason,
    Refused,
    check_clock,
    check_signature,
    check_term,
    read_message,
    unseal,
)
from tests.cluster.samples import NOW, PUBLIC, RING, heartbeat, sealer, token_keys

FRAME = sealer("a").seal(heartbeat(), NOW)


def envelope(message: bytes = b"", wall: float = NOW.wall) -> Envelope:
    """Return an envelope of node a."""
    return Envelope("a", bytes(16), 1, wall, message)


class RefusalsTests(SynchronousTestCase):
    """One check after the other."""

    def reason(self, work: Callable[[], object]) -> tuple[Reason, str | None]:
        """Return why a frame is refused, and whom that is held against."""
        error: Refused = self.assertRaises(Refused, work)
        return error.reason, error.sender

    def test_unseal(self) -> None:
        """Length, layout, purpose, key and seal are looked at, in this order."""
        other = KeyRing(token_keys(b"the token of another cluster"))
        noise = bytes(MAX_FRAME + 1)
        for data, ring, purpose, reason in (
            (noise, RING, Purpose.MESH, Reason.OVERSIZED),
            (noise[1:], RING, Purpose.MESH, Reason.MALFORMED),
            (FRAME, other, Purpose.JOIN, Reason.MALFORMED),
            (FRAME, other, Purpose.MESH, Reason.UNKNOWN_KEY),
            (FRAME + b"x", RING, Purpose.MESH, Reason.BAD_MAC),
        ):
            self.assertEqual(self.reason(lambda: unseal(data, ring, purpose, NOW)), (reason, None))  # noqa: B023
        self.assertEqual(unseal(FRAME, RING, Purpose.MESH, NOW).envelope.message, encode(heartbeat()))

    def test_signature(self) -> None:
        """The signature is the sender's, or the frame is nobody's."""
        signed = unseal(FRAME, RING, Purpose.MESH, NOW)
        check_signature(signed, PUBLIC["a"])
        self.assertEqual(self.reason(lambda: check_signature(signed, PUBLIC["b"])), (Reason.BAD_SIGNATURE, None))

    def test_clock(self) -> None:
        """The two tolerances are apart, and the sentence says which way it is wrong."""
        check_clock(envelope(wall=NOW.wall - 10), 10.0, 0.0, NOW)
        check_clock(envelope(wall=NOW.wall + 10), 0.0, 10.0, NOW)
        for seconds, word in ((-10.5, "behind"), (10.5, "ahead")):
            error = self.assertRaises(Refused, check_clock, envelope(wall=NOW.wall + seconds), 10.0, 10.0, NOW)
            self.assertIn(f"10.5 s {word}", str(error))
            self.assertEqual((error.reason, error.sender, error.ahead), (Reason.STALE_CLOCK, "a", seconds))

    def test_message(self) -> None:
        """What cannot be read is held against its sender."""
        self.assertEqual(read_message(envelope(encode(heartbeat()))), heartbeat())
        self.assertEqual(self.reason(lambda: read_message(envelope(b"noise"))), (Reason.MALFORMED, "a"))

    def test_term(self) -> None:
        """Who claims, renews or releases a term whose time has not come is refused; who only tells of one is not."""
        late = latest_round(NOW.wall + SPARE) + 1 << 36
        own, told = [
            msgspec.structs.replace(heartbeat(), term=late, publisher=name, lease_left=8.0) for name in ("a", "b")
        ]
        claims: tuple[Message, ...] = (LeaseClaim(term=late, priority=0), LeaseRelease(term=late), own)
        for message in claims:
            work = partial(check_term, message, "a", 5.0, NOW)
            self.assertEqual(self.reason(work), (Reason.MALFORMED, "a"))
            check_term(message, "a", 5.0, NOW.later(8.0))
            check_term(message, "a", SPARE + 8.0, NOW)
        unclaimed = msgspec.structs.replace(heartbeat(), term=2**63 - 1)
        others: tuple[Message, ...] = (told, unclaimed, PeerAnnounce(records=()))
        for message in others:
            check_term(message, "a", 5.0, NOW)
