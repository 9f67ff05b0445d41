"""Tests for L{rustbalance.cluster.refusals}."""

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.envelope import MAX_FRAME, Envelope
from rustbalance.cluster.keys import KeyRing, Purpose
from rustbalance.cluster.messages import encode
from rustbalance.cluster.refusals import Reason, Refused, check_clock, check_signature, read_message, unseal
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
