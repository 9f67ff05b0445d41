"""WebSocket through the proxy: bytes of another protocol both ways."""

from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint

from rustbalance.proxy.settings import OnionTarget
from tests.proxy.origin import Asked, Origin, Talk
from tests.proxy.socks_server import SocksServer
from tests.proxy.wire import Client, ProxyCase, eventually, get, reactor

UPGRADE = ("Connection: keep-alive, Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: k", "Sec-WebSocket-Version: 13")
SWITCH = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: a\r\n\r\n"
)


def echoing(origin: Origin, early: bytes = b"") -> None:
    """Make the origin switch, say ``early`` in the same breath, echo, and close when the visitor is done."""

    def switch(talk: Talk, asked: Asked) -> None:
        def echo(data: bytes) -> None:
            if data:
                talk.transport.write(data)
            else:
                talk.transport.write(b"goodbye")
                talk.transport.loseConnection()

        talk.raw = echo
        talk.transport.write(SWITCH + early)

    origin.whole["/ws"] = switch


class TunnelTests(ProxyCase):
    """D-53: after a 101 nothing is parsed any more."""

    async def opened(self, origin: Origin, **settings: Any) -> Client:
        """Return a client that has switched."""
        client = await self.connect(self.front(origin, **settings))
        client.send(get("/ws", *UPGRADE) + b"early")
        status, head, _ = await client.response()
        self.assertEqual(status, 101)
        self.assertIn(b"Sec-WebSocket-Accept: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", head)
        return client

    async def test_both_ways(self) -> None:
        """Frames, and bytes that look like HTTP, pass both ways; those sent early on either side are not lost."""
        origin = self.origin()
        echoing(origin, b"hello ")
        client = await self.opened(origin)
        await client.until(b"hello early")
        for frame in (b"\x81\x85\0\0\0\0hello", b"HTTP/1.1 200 OK\r\n\r\n", get("/.rb/x"), bytes(range(256)) * 4000):
            client.send(frame)
            await client.until(frame)
        self.assertEqual(origin.asked[0]["upgrade"], "websocket")
        client.transport.abortConnection()
        await eventually(lambda: origin.open == 0, "the end at the target")

    async def test_half_close(self) -> None:
        """D-49: each direction ends by itself; what the target says after the visitor's end arrives."""
        origin = self.origin()
        echoing(origin)
        client = await self.opened(origin)
        await client.until(b"early")
        client.send(b"last words ")
        client.transport.loseWriteConnection()
        await client.until(b"last words goodbye")
        self.assertTrue(await client.closed())
        await eventually(lambda: origin.open == 0, "the end at the target")

    async def test_half_close_through_tor(self) -> None:
        """D-49: the SOCKS client passes the end of a direction on like any other wire."""
        origin = self.origin()
        echoing(origin)
        server = SocksServer({("a.onion", 80): TCP4ClientEndpoint(reactor, "127.0.0.1", origin.target.port)})
        client = await self.connect(self.front(OnionTarget("a.onion"), socks=server.listen(reactor)))
        self.cleanup(server.close)
        client.send(get("/ws", *UPGRADE) + b"last words ")
        await client.response()
        client.transport.loseWriteConnection()
        await client.until(b"last words goodbye")
        self.assertTrue(await client.closed())

    async def test_target_ends_first(self) -> None:
        """The visitor may go on talking when the target says no more."""
        origin = self.origin()
        echoing(origin)
        client = await self.opened(origin)
        await client.until(b"early")
        client.readConnectionLost = lambda: setattr(client, "ended", True)  # type: ignore[method-assign]
        heard: list[bytes] = []
        origin.talks[0].raw = heard.append
        origin.talks[0].transport.loseWriteConnection()
        await eventually(lambda: client.ended, "the end of that direction")
        client.send(b"still here")
        await eventually(lambda: b"".join(heard) == b"still here", "what was said afterwards")
        client.transport.loseConnection()
        await eventually(lambda: origin.talks[0].ended, "the other end")

    async def test_broken(self) -> None:
        """When the target's connection breaks the visitor's does as well."""
        origin = self.origin()
        echoing(origin)
        client = await self.opened(origin)
        await client.until(b"early")
        origin.talks[0].transport.abortConnection()
        self.assertFalse(await client.closed())

    async def test_pressure(self) -> None:
        """Frames that nobody reads hold up whoever sends them, and arrive when they are read."""
        origin = self.origin()
        echoing(origin)
        client = await self.opened(origin)
        await client.until(b"early")
        client.keep = False
        client.count = 0
        client.transport.pauseProducing()
        size = 24_000_000
        client.send(bytes(size))
        client.transport.resumeProducing()
        await eventually(lambda: client.count == size, "all of it")

    async def test_idle(self) -> None:
        """D-55: a tunnel that is silent for too long is closed."""
        origin = self.origin()
        echoing(origin)
        client = await self.opened(origin, idle_timeout=0.3)
        await client.closed()
        await eventually(lambda: origin.open == 0, "the end at the target")

    async def test_refused(self) -> None:
        """A target that does not switch answers as usual, and the conversation goes on."""
        client = await self.connect(self.front(self.origin()))
        for _ in range(2):
            client.send(get("/", *UPGRADE))
            self.assertEqual((await client.response())[2], b"hello")

    async def test_other_protocols(self) -> None:
        """Nothing else is asked for: an upgrade to h2c goes as a plain request."""
        origin = self.origin()
        front = self.front(origin)
        fields = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: x")
        self.assertEqual((await self.ask(front, get("/", *fields)))[0], 200)
        self.assertIsNone(origin.asked[0]["upgrade"])
        self.assertIsNone(origin.asked[0]["http2-settings"])

    async def test_no_way(self) -> None:
        """Without a way to the target an upgrade is answered with a page."""
        front = self.front(OnionTarget("a.onion"))
        self.assertEqual((await self.ask(front, get("/ws", *UPGRADE)))[0], 503)
