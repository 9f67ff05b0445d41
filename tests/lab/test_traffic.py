"""Traffic between relays, as far as it can be told without a network; tests/live/test_lab.py looks at a real one."""

from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.lab.traffic import AGAIN, BEAT, PATIENCE, Talker, Traffic
from rustbalance.life import deferred

NEW = '7 NEW 0 127.0.0.1:4000 SOURCE_ADDR=127.0.0.1:1 PURPOSE=USER SOCKS_USERNAME="circuit-12" SOCKS_PASSWORD="x"'


class Link:
    """A control connection that says that a circuit is being built, and remembers what it was told."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    async def send(self, command: str) -> str:
        self.sent.append(command)
        return "EXTENDED 12"

    async def close(self) -> None:
        self.sent.append("closed")


class TrafficTests(SynchronousTestCase):
    """One route, without a Tor."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.traffic = Traffic(Path(self.mktemp()).absolute(), "", 1, 2, self.reactor)
        self.link = Link()
        self.traffic._link = self.link  # type: ignore[assignment]
        self.running: Deferred[None] = deferred(
            self.traffic._keep_talking(self.link, ["A", "B"])  # type: ignore[arg-type]
        )

    def end(self) -> None:
        self.running.addErrback(lambda _: None)
        self.running.cancel()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_takes_the_route_again(self) -> None:
        """A circuit that fails, or is not built in time, is built again after a pause."""
        self.assertEqual(self.link.sent, ["EXTENDCIRCUIT 0 A,B"])
        self.traffic._circuit("12 FAILED $A REASON=TIMEOUT")
        self.assertEqual(len(self.link.sent), 1)
        self.reactor.advance(AGAIN)
        self.assertEqual(self.link.sent, ["EXTENDCIRCUIT 0 A,B"] * 2)
        self.reactor.advance(PATIENCE)
        self.reactor.advance(AGAIN)
        self.assertEqual(len(self.link.sent), 3)
        self.end()

    def test_stream_on_its_circuit(self) -> None:
        """The stream that was opened for a circuit is attached to it; what others do is not touched."""
        for event in (NEW, NEW.replace("NEW", "SUCCEEDED"), NEW.replace("circuit-12", "x"), "8 NEW 0 a.onion:80"):
            self.traffic._stream(event)
        self.assertEqual(self.link.sent[1:], ["ATTACHSTREAM 7 12"])
        self.end()

    def test_other_circuits(self) -> None:
        """Only the circuits that were asked for are followed."""
        for event in ("11 FAILED", "12 EXTENDED $A", "12 LAUNCHED"):
            self.traffic._circuit(event)
        self.reactor.advance(AGAIN)
        self.assertEqual(len(self.link.sent), 1)
        self.end()


class TalkerTests(SynchronousTestCase):
    """What goes over a route."""

    def test_beat(self) -> None:
        """A byte at once and one with every beat, until the connection is gone."""
        clock, transport, talker = Clock(), StringTransport(), Talker()
        talker.loop.clock = clock
        talker.makeConnection(transport)
        for _ in range(3):
            clock.advance(BEAT)
        self.assertEqual(transport.value(), b"....")
        talker.connectionLost()
        self.successResultOf(talker.over)
        talker.connectionLost()
        clock.advance(BEAT)
        self.assertEqual(transport.value(), b"....")
