"""The whole proxy between real sockets: ways in, ways to the target, and how it stops."""

import stat
from typing import Any

from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.logger import LogLevel, globalLogPublisher

from rustbalance.proxy.front import MAIN, Front
from rustbalance.proxy.listening import Entrance
from rustbalance.proxy.pages import PAGES
from rustbalance.proxy.settings import OnionTarget, ProxySettings, TcpTarget, UnixTarget
from rustbalance.proxy.socks import SocksAddress
from tests.proxy.origin import Asked, Talk
from tests.proxy.socks_server import SocksServer
from tests.proxy.wire import ProxyCase, Ways, eventually, get, reactor

ONION = "target7" + "a" * 49 + ".onion"


class LogCase(ProxyCase):
    """Keeps what is logged."""

    def setUp(self) -> None:
        """Listen to the log."""
        self.events: list[tuple[str, str]] = []
        observer: Any = self.note
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def note(self, event: dict[str, Any]) -> None:
        """Keep level and text."""
        text = (event.get("log_format") or "").format_map(event)
        self.events.append((event.get("log_level", LogLevel.info).name, text))

    def said(self, start: str) -> list[str]:
        """Return the levels at which a line with that start was logged."""
        return [level for level, text in self.events if text.startswith(start)]


class ServingTests(ProxyCase):
    """Requests that go well."""

    async def test_page(self) -> None:
        """A page comes through, and the figures say so."""
        origin = self.origin()
        front = self.front(origin)
        self.assertIsNone(front.status().target_healthy)
        status, head, body = await self.ask(front, get("/page?x=1"))
        self.assertEqual((status, body), (200, b"hello"))
        self.assertEqual(origin.paths, ["/page?x=1"])
        self.assertNotIn(b"server:", head.lower())
        figures = front.status()
        self.assertEqual((figures.connections_total, figures.requests_total), (1, 1))
        self.assertEqual(figures.connections_active, 1)
        self.assertTrue(figures.target_healthy)
        self.assertEqual((figures.bytes_in, figures.bytes_out), (len(get("/page?x=1")), len(head) + len(body)))
        self.assertEqual(figures.listening, front.address)

    async def test_unix_sockets(self) -> None:
        """Both sides can be Unix sockets; ours is private, and gone after the stop."""
        folder = self.folder()
        origin = self.origin()
        await origin.close()
        origin.listen(reactor, folder / "site")
        front = self.front(UnixTarget(folder / "site"), folder / "front")
        self.assertEqual(front.address, f"unix:{folder}/front")
        self.assertEqual(stat.S_IMODE((folder / "front").stat().st_mode), 0o600)
        self.assertEqual((await self.ask(front, get()))[2], b"hello")
        self.assertEqual(origin.asked[0]["host"], "localhost")
        await front.stopService()
        self.assertFalse((folder / "front").exists())

    async def test_other_entrances(self) -> None:
        """Visitors may come in at several places, each of which may answer in its own way; all end with the stop."""
        origin, path = self.origin(), self.folder() / "side"
        others = {"side": Entrance(path, lambda _: PAGES[413])}
        front = Front(ProxySettings(0, origin.target, tick=0.05), Ways(), reactor, others=others)
        front.startService()
        self.assertEqual(front.address_of("side"), f"unix:{path}")
        self.assertEqual({front.address_of(MAIN), front.address_of("none")}, {front.address})
        self.assertEqual((await self.ask(front, get("/")))[0], 200)
        client = await self.connect_to(front.address_of("side"))
        client.send(get("/"))
        self.assertEqual((await client.response())[0], 413)
        self.assertEqual((origin.paths, front.status().requests_total), (["/"], 2))
        await front.stopService()
        self.assertFalse(path.exists())
        self.assertIsNone(front.status().listening)

    async def test_port_zero(self) -> None:
        """Port 0 picks one on loopback only; it has an address once it listens."""
        front = self.front(TcpTarget("127.0.0.1", 1))
        self.assertRegex(front.address, r"127\.0\.0\.1:[1-9][0-9]+")
        await front.stopService()
        self.assertRaises(RuntimeError, lambda: front.address)
        self.assertIsNone(front.status().listening)

    async def test_socket_taken_away(self) -> None:
        """Somebody who removes our socket does not keep us from stopping."""
        path = self.folder() / "front"
        front = self.front(TcpTarget("127.0.0.1", 1), path)
        path.unlink()
        await front.stopService()

    async def test_by_name(self) -> None:
        """A TCP target may be named by a host name."""
        origin = self.origin()
        front = self.front(TcpTarget("localhost", origin.target.port))
        self.assertEqual((await self.ask(front, get()))[0], 200)
        self.assertEqual(origin.asked[0]["host"], f"localhost:{origin.target.port}")

    async def test_onion(self) -> None:
        """D-58: an onion is reached through SOCKS, in the isolation group of the configuration, and reused."""
        origin = self.origin()
        way = TCP4ClientEndpoint(reactor, "127.0.0.1", origin.target.port)
        server = SocksServer({(ONION, 8080): way})
        front = self.front(OnionTarget(ONION, 8080), socks=server.listen(reactor), isolation="site")
        self.cleanup(server.close)
        for _ in range(3):
            self.assertEqual((await self.ask(front, get()))[2], b"hello")
        self.assertEqual(server.isolations, [b"site"])
        self.assertEqual(origin.asked[0]["host"], f"{ONION}:8080")


class TroubleTests(LogCase):
    """D-58: a target that cannot be reached is a page, not a reset, and a line in the log once."""

    async def test_refused(self) -> None:
        """Nobody listens: 502, and the same page from every node."""
        front = self.front(TcpTarget("127.0.0.1", 1))
        status, head, body = await self.ask(front, get())
        self.assertEqual(status, 502)
        self.assertNotIn(b"127.0.0.1", head + body)
        self.assertNotIn(b"balance", (head + body).lower())
        self.assertIs(front.status().target_healthy, False)

    async def test_codes_of_tor(self) -> None:
        """Tor's codes become 502, 503 or 504."""
        for code, status in ((0x05, 502), (0xF0, 503), (0xF6, 502), (0xF7, 504), (0x06, 504)):
            server = SocksServer({(ONION, 80): code})
            front = self.front(OnionTarget(ONION), socks=server.listen(reactor))
            self.cleanup(server.close)
            self.assertEqual((await self.ask(front, get()))[0], status, hex(code))

    async def test_no_tor(self) -> None:
        """Without a Tor that is ready, and with one that is dead, visitors get a 503."""
        for socks in (None, SocksAddress(port=1), SocksAddress(path="/nonexistent/socks")):
            front = self.front(OnionTarget(ONION), socks=socks)
            self.assertEqual((await self.ask(front, get()))[0], 503, str(socks))

    async def test_hung_connect(self) -> None:
        """A way that does not open in time is a 504."""
        server = SocksServer({(ONION, 80): None})
        front = self.front(OnionTarget(ONION), socks=server.listen(reactor), connect_timeout=0.2)
        self.cleanup(server.close)
        self.assertEqual((await self.ask(front, get()))[0], 504)

    async def test_hung_target(self) -> None:
        """A target that takes the request and says nothing is a 504, and its connection is given up."""
        origin = self.origin()
        origin.whole["/"] = lambda talk, asked: None
        front = self.front(origin, idle_timeout=0.2)
        self.assertEqual((await self.ask(front, get()))[0], 504)
        await eventually(lambda: origin.open == 0, "the end of the hung connection")

    async def test_turned_away(self) -> None:
        """
        Whoever waits for the first word of an answer when the target is found to be down is told at once, and not when
        the wait has become too long; an answer that has begun goes on, and so does a request that is still coming.
        """
        origin, talks = self.origin(), list[Any]()
        origin.whole["/"] = origin.whole["/upload"] = lambda talk, asked: None
        origin.whole["/begun"] = lambda talk, asked: talks.append(talk)
        front = self.front(origin, idle_timeout=60.0)
        waiting, begun, upload = [await self.connect(front) for _ in range(3)]
        waiting.send(get())
        begun.send(get("/begun"))
        upload.send(get("/upload", "Content-Length: 9", method="POST") + b"a")
        await eventually(lambda: talks and len(origin.asked) >= 2, "the requests")
        talks[0].transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        await eventually(lambda: b"hello" in begun.data, "half of an answer")
        front.target.probed = True
        front.target.down("on purpose")
        self.assertEqual((await waiting.response())[0], 504)
        talks[0].transport.write(b"world")
        status, _, body = await begun.response()
        self.assertEqual((status, body), (200, b"helloworld"))
        self.assertIsNone(upload.lost)

    async def test_one_line_a_switch(self) -> None:
        """D-57: going down and coming back are one line each, whatever is asked meanwhile, without the address."""
        path = self.folder() / "site"
        origin = self.origin()
        await origin.close()
        front = self.front(UnixTarget(path))
        for _ in range(3):
            self.assertEqual((await self.ask(front, get()))[0], 502)
        origin.listen(reactor, path)
        for _ in range(3):
            self.assertEqual((await self.ask(front, get()))[0], 200)
        self.assertEqual(self.said("Target is DOWN"), ["error"])
        self.assertEqual(self.said("Target recovered"), ["info"])
        self.assertFalse([text for _, text in self.events if text.startswith("Target") and str(path) in text])

    async def test_full(self) -> None:
        """D-55: one connection too many to the target is a 503, and says nothing about the target's health."""
        origin = self.origin()
        origin.whole["/slow"] = lambda talk, asked: None
        front = self.front(origin, max_connections=1)
        busy = await self.connect(front)
        busy.send(get("/slow"))
        await eventually(lambda: origin.asked, "the first request")
        self.assertEqual((await self.ask(front, get()))[0], 503)
        self.assertIsNone(front.status().target_healthy)
        busy.transport.loseConnection()

    async def test_crowd(self) -> None:
        """D-55: one visitor too many gets a 503 at once."""
        front = self.front(self.origin(), max_visitors=1)
        first = await self.connect(front)
        second = await self.connect(front)
        self.assertEqual((await second.response())[0], 503)
        self.assertTrue(await second.closed())
        first.send(get())
        self.assertEqual((await first.response())[0], 200)


class StoppingTests(ProxyCase):
    """What happens to visitors when the node stops."""

    async def test_finishes(self) -> None:
        """A request under way is answered, an idle connection is closed, nobody new is let in."""
        origin = self.origin()
        held: list[Talk] = []
        origin.whole["/slow"] = lambda talk, asked: held.append(talk)
        front = self.front(origin, drain_timeout=5.0)
        address = front.address
        busy, idle = await self.connect(front), await self.connect(front)
        busy.send(get("/slow"))
        await eventually(lambda: held, "the request")
        stopping = front.stopService()
        self.assertTrue(await idle.closed())
        with self.assertRaises(Exception):  # noqa: B017
            await self.connect_to(address)
        held[0].say(200, b"late")
        status, head, body = await busy.response()
        self.assertEqual((status, body), (200, b"late"))
        self.assertIn(b"Connection: close", head)
        self.assertTrue(await busy.closed())
        await stopping

    async def test_breaks_off(self) -> None:
        """What is not done by the deadline is broken off, on both sides."""
        origin = self.origin()

        def endless(talk: Talk, asked: Asked) -> None:
            talk.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")

        origin.whole["/"] = endless
        front = self.front(origin, drain_timeout=0.1)
        client = await self.connect(front)
        client.send(get())
        await client.until(b"half")
        await front.stopService()
        self.assertFalse(await client.closed())
        await eventually(lambda: origin.open == 0, "the end at the target")

    async def test_starts_again(self) -> None:
        """A front that was stopped can be started again."""
        front = self.front(self.origin())
        await front.stopService()
        front.startService()
        self.assertEqual((await self.ask(front, get()))[0], 200)

    async def test_stop_while_connecting(self) -> None:
        """A visitor who waits for a way to the target does not hold up the stop."""
        server = SocksServer({(ONION, 80): None})
        front = self.front(OnionTarget(ONION), socks=server.listen(reactor), connect_timeout=30.0)
        self.cleanup(server.close)
        client = await self.connect(front)
        client.send(get())
        await eventually(lambda: server.isolations, "the attempt")
        await front.stopService()
        await client.closed()
        await eventually(lambda: not server.streams[0].transport.connected, "the end of the attempt")
