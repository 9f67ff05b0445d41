"""Ways to the target."""

import socket

from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.proxy.dialing import Dialer, _tcp_kind
from rustbalance.proxy.failures import NoWay
from rustbalance.proxy.settings import OnionTarget, ProxySettings, TcpTarget
from rustbalance.proxy.socks import SocksAddress, SocksRefused, SocksUnreachable
from tests.proxy.origin import Origin
from tests.proxy.socks_server import SocksServer
from tests.proxy.wire import ProxyCase, Ways, reactor


class KindTests(SynchronousTestCase):
    """Which endpoint for which host."""

    def test_kinds(self) -> None:
        """Names are looked up, addresses are not."""
        self.assertIs(_tcp_kind("127.0.0.1"), TCP4ClientEndpoint)
        self.assertIs(_tcp_kind("::1"), TCP6ClientEndpoint)
        self.assertIs(_tcp_kind("site.example"), HostnameEndpoint)

    def test_no_tor(self) -> None:
        """Without a Tor there is no way, and no attempt."""
        dialer = Dialer(ProxySettings(0, OnionTarget("a.onion")), Ways(), Clock())
        self.failureResultOf(dialer.dial(), NoWay)


class DialTests(ProxyCase):
    """On real sockets."""

    async def test_asks_each_time(self) -> None:
        """The Tor that is ready may be another one the next time."""
        servers = [SocksServer({("a.onion", 80): code}) for code in (0xF0, 0xF6)]
        ways = Ways()
        dialer = Dialer(ProxySettings(0, OnionTarget("a.onion")), ways, reactor)
        for server in servers:
            ways.addresses = (server.listen(reactor),)
            self.cleanup(server.close)
            with self.assertRaises(Exception):  # noqa: B017
                await dialer.dial()
            self.assertEqual(len(server.isolations), 1)

    async def test_refused(self) -> None:
        """What goes wrong is said as it is."""
        dialer = Dialer(ProxySettings(0, TcpTarget("127.0.0.1", 1)), Ways(), reactor)
        with self.assertRaises(ConnectionRefusedError):
            await dialer.dial()


class TwoProxiesTests(ProxyCase):
    """What the second SOCKS port is for."""

    def setUp(self) -> None:
        super().setUp()
        self.site = Origin()
        self.site.listen(reactor)
        self.cleanup(self.site.close)

    def _site(self) -> TCP4ClientEndpoint:
        target = self.site.target
        assert isinstance(target, TcpTarget)
        return TCP4ClientEndpoint(reactor, target.host, target.port)

    def proxy(self, answer: int | None = 0, *refusals: int) -> tuple[SocksServer, SocksAddress]:
        """
        Run a proxy that leads to the site, or answers with a code; None: it never answers the request.

        The first requests are answered with ``refusals``.
        """
        server = SocksServer({("a.onion", 80): self._site() if answer == 0 else answer}, refusals=refusals)
        address = server.listen(reactor)
        self.cleanup(server.close)
        return server, address

    async def dial(self, *proxies: SocksAddress) -> Ways:
        """Dial through these and return which have been found to fail."""
        ways = Ways(*proxies)
        connection = await Dialer(ProxySettings(0, OnionTarget("a.onion")), ways, reactor).dial()
        connection.abort()
        return ways

    async def test_nobody_there(self) -> None:
        """A proxy that is gone costs nothing, and is named."""
        gone = SocksAddress(port=1)
        _, second = self.proxy()
        self.assertEqual((await self.dial(gone, second)).failed, [gone])

    async def test_hangs(self) -> None:
        """One that accepts and says nothing is left after two seconds."""
        silent = Silent(self)
        _, second = self.proxy()
        began = reactor.seconds()
        self.assertEqual((await self.dial(silent.address, second)).failed, [silent.address])
        self.assertLess(reactor.seconds() - began, 3.5)

    async def test_hangs_up(self) -> None:
        """One that goes away in the middle is left at once."""
        first, where = self.proxy(None)
        _, second = self.proxy()
        reactor.callLater(0.1, lambda: first.streams[0].cut())
        self.assertEqual((await self.dial(where, second)).failed, [where])

    async def test_general_failure(self) -> None:
        """A circuit that could not be had is tried through the other one; the first is not to blame."""
        _, first = self.proxy(0x01)
        _, second = self.proxy()
        self.assertEqual((await self.dial(first, second)).failed, [])

    async def test_general_failure_of_the_only_one(self) -> None:
        """
        With no other proxy it is asked once more.

        Tor says this to a stream whose descriptor goes away (NEWNYM) while introduction points turn out to be dead. The
        next stream fetches the new one.
        """
        server, where = self.proxy(0, 0x01)
        self.assertEqual((await self.dial(where)).failed, [])
        self.assertEqual(len(server.streams), 2)

    async def test_general_failure_beside_one_that_hangs(self) -> None:
        """The other one is tried first, and is no end of it."""
        _, first = self.proxy(0, 0x01)
        gone = SocksAddress(port=1)
        self.assertEqual((await self.dial(first, gone)).failed, [gone])

    async def test_general_failure_that_lasts(self) -> None:
        """It is told in the end."""
        server, where = self.proxy(0x01)
        with self.assertRaises(SocksRefused) as caught:
            await self.dial(where)
        self.assertEqual((caught.exception.code, len(server.streams)), (0x01, 2))

    async def test_answers_of_the_target(self) -> None:
        """What concerns the target is told as it is, and the second proxy hears nothing of it."""
        for code in (0x04, 0x05, 0x06, 0xF0, 0xF2, 0xF6):
            _, first = self.proxy(code)
            second, where = self.proxy()
            with self.assertRaises(SocksRefused) as caught:
                await self.dial(first, where)
            self.assertEqual((caught.exception.code, second.streams), (code, []))

    async def test_neither(self) -> None:
        """When both fail, the last failure is told."""
        with self.assertRaises(SocksUnreachable):
            await self.dial(SocksAddress(port=1), SocksAddress(port=2))


class Silent:
    """A listener whose process is stopped: the kernel accepts, nobody answers."""

    def __init__(self, test: ProxyCase) -> None:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        test.addCleanup(listener.close)
        self.address = SocksAddress(port=listener.getsockname()[1])
