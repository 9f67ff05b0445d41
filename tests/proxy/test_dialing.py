"""Ways to the target."""

from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectionRefusedError
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.proxy.dialing import Dialer, _tcp_kind
from rustbalance.proxy.failures import NoWay
from rustbalance.proxy.settings import OnionTarget, ProxySettings, TcpTarget
from rustbalance.proxy.socks import SocksAddress
from tests.proxy.socks_server import SocksServer
from tests.proxy.wire import ProxyCase, reactor


class KindTests(SynchronousTestCase):
    """Which endpoint for which host."""

    def test_kinds(self) -> None:
        """Names are looked up, addresses are not."""
        self.assertIs(_tcp_kind("127.0.0.1"), TCP4ClientEndpoint)
        self.assertIs(_tcp_kind("::1"), TCP6ClientEndpoint)
        self.assertIs(_tcp_kind("site.example"), HostnameEndpoint)

    def test_no_tor(self) -> None:
        """Without a Tor there is no way, and no attempt."""
        dialer = Dialer(ProxySettings(0, OnionTarget("a.onion")), lambda: None, None)
        self.failureResultOf(dialer.dial(), NoWay)


class DialTests(ProxyCase):
    """On real sockets."""

    async def test_asks_each_time(self) -> None:
        """The Tor that is ready may be another one the next time."""
        servers = [SocksServer({("a.onion", 80): code}) for code in (0xF0, 0xF6)]
        addresses: list[SocksAddress | None] = [server.listen(reactor) for server in servers]
        for server in servers:
            self.cleanup(server.close)
        dialer = Dialer(ProxySettings(0, OnionTarget("a.onion")), lambda: addresses.pop(0), reactor)
        for server in servers:
            with self.assertRaises(Exception):  # noqa: B017
                await dialer.dial()
            self.assertEqual(len(server.isolations), 1)

    async def test_refused(self) -> None:
        """What goes wrong is said as it is."""
        dialer = Dialer(ProxySettings(0, TcpTarget("127.0.0.1", 1)), lambda: None, reactor)
        with self.assertRaises(ConnectionRefusedError):
            await dialer.dial()
