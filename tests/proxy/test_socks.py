"""The SOCKS endpoint against a real server on loopback."""

from typing import Any

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase

from rustbalance.life import pause
from rustbalance.proxy.socks import SocksAddress, SocksEndpoint, SocksFailure, SocksRefused, SocksUnreachable
from tests.proxy.socks_server import SocksServer
from tests.proxy.wire import reactor


class Talker(Protocol):
    """Speaks first, then echoes; a line ``bye`` makes it close."""

    transport: Any

    def connectionMade(self) -> None:
        """Greet."""
        self.transport.write(b"hello ")

    def dataReceived(self, data: bytes) -> None:
        """Echo."""
        self.transport.write(data)
        if data.endswith(b"bye"):
            self.transport.loseConnection()


class Listener(Protocol):
    """Keeps what it hears and fires ``heard`` when that ends with ``until``."""

    transport: Any

    def __init__(self, until: bytes) -> None:
        self.until = until
        self.data = b""
        self.heard: Deferred[bytes] = Deferred()
        self.lost: Deferred[Any] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        """Collect."""
        self.data += data
        if self.data.endswith(self.until) and not self.heard.called:
            self.heard.callback(self.data)

    def connectionLost(self, reason: Any = None) -> None:
        """Say why."""
        self.lost.callback(reason.type)


class SocksEndpointTests(TestCase):
    """What a caller sees."""

    async def serve(self, **options: Any) -> tuple[SocksServer, SocksAddress]:
        """Run a SOCKS server that knows a few names."""
        port: Any = reactor.listenTCP(0, Factory.forProtocol(Talker), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        origin = TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
        routes: Any = {("talker.onion", 80): origin, ("gone.onion", 80): 0xF0, ("slow.onion", 80): None}
        server = SocksServer(routes, **options)
        address = server.listen(reactor)
        self.addCleanup(lambda: Deferred.fromCoroutine(server.close()))
        return server, address

    async def test_stream(self) -> None:
        """Bytes that come in one segment with the reply arrive at once, and both directions work."""
        _, address = await self.serve(bound=b"\x03\x04name\x00\x50")
        listener: Any = await connectProtocol(SocksEndpoint(reactor, address, "talker.onion", 80), Listener(b"bye"))
        listener.transport.write(b"and bye")
        self.assertEqual(await listener.heard, b"hello and bye")
        self.assertIs(await listener.lost, ConnectionDone)

    async def test_isolation(self) -> None:
        """D-58: streams carry the group they belong to, and the greeting goes alone so that Tor answers it."""
        server, address = await self.serve()
        endpoint = SocksEndpoint(reactor, address, "talker.onion", 80, isolation="group-7")
        listener: Any = await connectProtocol(endpoint, Listener(b"hello "))
        await listener.heard
        self.assertEqual(server.isolations, [b"group-7"])
        self.assertEqual(server.segments[0], b"\x05\x01\x02")
        listener.transport.loseConnection()
        await listener.lost

    async def test_refused(self) -> None:
        """Tor's code reaches the caller."""
        _, address = await self.serve()
        endpoint = SocksEndpoint(reactor, address, "gone.onion", 80)
        with self.assertRaises(SocksRefused) as caught:
            await connectProtocol(endpoint, Listener(b""))
        self.assertEqual(caught.exception.code, 0xF0)

    async def test_nobody_there(self) -> None:
        """A Tor that does not run is told apart from a Tor that refuses."""
        for address in (SocksAddress(port=1), SocksAddress(path="/nonexistent/socks")):
            with self.assertRaises(SocksUnreachable):
                await connectProtocol(SocksEndpoint(reactor, address, "x.onion", 80), Listener(b""))

    async def test_deadline(self) -> None:
        """A proxy that never answers is given up, and its connection with it."""
        server, address = await self.serve()
        with self.assertRaises(TimeoutError):
            await connectProtocol(SocksEndpoint(reactor, address, "slow.onion", 80, timeout=0.2), Listener(b""))
        await pause(reactor, 0.05)
        self.assertFalse(server.streams[0].transport.connected)

    async def test_hangs_up(self) -> None:
        """A proxy that closes in the middle is a failure, not silence."""
        server, address = await self.serve()
        connecting = connectProtocol(SocksEndpoint(reactor, address, "slow.onion", 80), Listener(b""))
        while not server.isolations:
            await pause(reactor, 0.01)
        server.streams[0].transport.loseConnection()
        with self.assertRaises(SocksFailure):
            await connecting

    def test_names_itself(self) -> None:
        """An address is written as torrc would have it."""
        self.assertEqual(str(SocksAddress(port=9150)), "127.0.0.1:9150")
        self.assertEqual(str(SocksAddress(path="/run/socks")), "unix:/run/socks")
