"""A connection whose two directions are held back separately."""

import socket

from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Factory
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.proxy.stream import QuietFactory, Stream, limit_send_buffer
from tests.proxy.wire import Client, ProxyCase, eventually, reactor


class Noting(Stream):
    """Notes what happens."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def stuck(self) -> None:
        """Note it."""
        self.notes.append("stuck")

    def drained(self) -> None:
        """Note it."""
        self.notes.append("drained")


class StreamTests(SynchronousTestCase):
    """Against a transport that only remembers."""

    def setUp(self) -> None:
        """Connect."""
        self.stream = Noting()
        self.transport = StringTransport()
        self.stream.makeConnection(self.transport)

    def test_pressure(self) -> None:
        """One producer for the whole connection tells when the buffer is full and when it is empty."""
        self.assertIs(self.transport.producer, self.stream)
        self.stream.pauseProducing()
        self.assertTrue(self.stream.clogged)
        self.stream.resumeProducing()
        self.assertFalse(self.stream.clogged)
        self.assertEqual(self.stream.notes, ["stuck", "drained"])

    def test_hold(self) -> None:
        """Held and released, but never after the end: it would be read again and again."""
        self.stream.hold()
        self.assertEqual(self.transport.producerState, "paused")
        self.stream.release()
        self.assertEqual(self.transport.producerState, "producing")
        self.stream.hold()
        self.stream.readConnectionLost()
        self.stream.release()
        self.assertEqual(self.transport.producerState, "paused")

    def test_finish(self) -> None:
        """The producer goes first, or Twisted would wait for it; afterwards nothing is written."""
        self.stream.send(b"a", b"b")
        self.stream.pauseProducing()
        self.stream.finish()
        self.assertIsNone(self.transport.producer)
        self.assertTrue(self.transport.disconnecting)
        self.assertFalse(self.stream.clogged)
        self.stream.send(b"c")
        self.assertEqual(self.transport.value(), b"ab")

    def test_abort(self) -> None:
        """Aborting needs no politeness, and does nothing twice."""
        self.stream.abort()
        self.assertTrue(self.transport.disconnected)
        self.stream.lost = True
        self.stream.abort()
        self.stream.finish()
        self.stream.end_writing()


class RealStreamTests(ProxyCase):
    """On a socket."""

    async def test_end_writing(self) -> None:
        """One half is closed, the other goes on."""
        built: list[Client] = []

        def build() -> Client:
            built.append(Client())
            return built[-1]

        port = reactor.listenTCP(0, QuietFactory(build), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        stream = Noting()
        await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port), stream)
        limit_send_buffer(stream.transport, 65536)
        self.assertLess(stream.transport.getHandle().getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF), 200000)
        await eventually(lambda: built, "the other side")
        built[0].readConnectionLost = lambda: built[0].send(b"later")  # type: ignore[method-assign]
        heard: list[bytes] = []
        stream.dataReceived = heard.append  # type: ignore[method-assign, assignment]
        stream.send(b"first")
        stream.end_writing()
        await eventually(lambda: heard == [b"later"], "what came afterwards")
        self.assertEqual(built[0].data, b"first")
        stream.finish()
        built[0].transport.loseConnection()
        await eventually(lambda: built[0].lost, "the end")

    def test_quiet(self) -> None:
        """Connections come and go without a line each."""
        self.assertFalse(QuietFactory(Client).noisy)
        self.assertTrue(Factory.noisy)
