"""Tests for L{rustbalance.coordination.offers}."""

from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.messages import IntroPoints
from rustbalance.cluster.points import encode_points
from rustbalance.coordination.offers import OfferReader
from rustbalance.onion.inner import InnerLayer
from tests.publishing.samples import inner


def offer(data: bytes) -> IntroPoints:
    """Return what a node says."""
    return IntroPoints(source="beta", version=1, sent_at=0.0, inner=data)


class OfferReaderTests(SynchronousTestCase):
    """L{OfferReader} reads what can be read."""

    def setUp(self) -> None:
        self.reader = OfferReader()

    def test_read(self) -> None:
        """Good points arrive as they were, and nothing is said."""
        with capturedLogs() as events:
            found = self.reader.read({"beta/primary": offer(encode_points(inner(1, 2)))})
        self.assertEqual((found, events), ({"beta/primary": inner(1, 2)}, []))

    def test_nonsense(self) -> None:
        """What is none at all has no points; it is said once, and again when something else is wrong."""
        with capturedLogs() as events:
            for data in (b"\xc1", b"\xc1", b"", b"\xc1"):
                self.assertEqual(self.reader.read({"beta/primary": offer(data)}), {"beta/primary": InnerLayer(())})
        self.assertEqual(len(events), 2)
        self.assertIn("beta/primary", formatEvent(events[0]))
