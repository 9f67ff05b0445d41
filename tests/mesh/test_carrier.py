"""Tests for L{rustbalance.mesh.carrier}."""

from collections.abc import Collection

from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.mesh.carrier import NOBODY, Carrier, CarrierStatus, NodeId, Peer, address_of
from tests.mesh.peers import Record


class Deaf(Carrier):
    """As little as a carrier can be."""

    scheme = "deaf"
    address = None

    def set_peers(self, records: Collection[Peer]) -> None:
        """Do nothing."""

    def send(self, to: NodeId, frame: bytes, slot: str | None = None) -> None:
        """Do nothing."""

    def status(self) -> CarrierStatus:
        """Return nothing of interest."""
        return CarrierStatus(name="deaf", listening=None, links_up=0, links_down=0, frames_dropped=0, problem=None)


class CarrierTests(SynchronousTestCase):
    """What all carriers have in common."""

    def test_refuses_before_it_is_set_up(self) -> None:
        """A frame that comes before anybody listens is refused, and saying that a link is up harms nobody."""
        carrier = Deaf()
        self.assertEqual(carrier.received(b"frame"), NOBODY)
        carrier.link_opened("b")

    def test_gives_frames_to_the_receiver(self) -> None:
        """The receiver takes the frame and says who sealed it."""
        taken: list[bytes] = []
        carrier = Deaf()

        def receiver(frame: bytes) -> NodeId:
            taken.append(frame)
            return "b"

        carrier.receiver = receiver
        self.assertEqual((carrier.received(b"frame"), taken), ("b", [b"frame"]))

    def test_an_error_in_the_receiver_refuses_the_frame(self) -> None:
        """A receiver that fails is logged, and the stream that brought the frame sees a refusal."""
        carrier = Deaf()
        carrier.receiver = lambda frame: str(1 // 0)
        with capturedLogs() as logs:
            self.assertEqual(carrier.received(b"frame"), NOBODY)
        self.assertEqual([event["log_level"] for event in logs], [LogLevel.critical])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_address_of(self) -> None:
        """A record may have addresses on several carriers; the first one of ours counts."""
        peer = Record("b", ("tor:x.onion", "direct:10.0.0.1:7", "direct:10.0.0.2:7"))
        self.assertEqual(address_of(peer, "direct"), "10.0.0.1:7")
        self.assertEqual(address_of(peer, "tor"), "x.onion")
        self.assertIsNone(address_of(peer, "wireguard"))
