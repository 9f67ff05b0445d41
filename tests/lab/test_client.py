"""Visitors."""

from twisted.internet import reactor  # noqa: TID251  (real sockets need the real one)
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from rustbalance.lab.client import KEPT, NEWNYM_INTERVAL, LabClient, Visitor
from rustbalance.lab.site import PAGE, TargetSite
from rustbalance.lab.state import ClientState
from rustbalance.life import deferred
from tests.proxy.socks_server import SocksServer

SERVED = "served.onion"
REFUSED = "refused.onion"
SILENT = "silent.onion"


class VisitorTests(TestCase):
    """Visits through a SOCKS proxy that behaves as Tor's."""

    timeout = 30

    async def visitor(self, deadline: float = 10.0) -> Visitor:
        site = TargetSite(reactor)
        host, port = (await site.start()).split(":")
        self.addCleanup(lambda: deferred(site.stop()))
        target = HostnameEndpoint(reactor, host, int(port))
        self.socks = SocksServer({(SERVED, 80): target, (REFUSED, 80): 4, (SILENT, 80): None})
        address = self.socks.listen(reactor)
        self.addCleanup(lambda: deferred(self.socks.close()))
        where = ClientState(directory="/nowhere", control_port=1, socks_port=address.port)
        return Visitor(LabClient(where, reactor), reactor, deadline)

    async def test_page(self) -> None:
        """A page that comes whole is a success, with its time, size and body."""
        visit = await (await self.visitor()).fetch(SERVED)
        self.assertEqual((visit.ok, visit.status, visit.error), (True, 200, None))
        self.assertEqual((visit.size, visit.body), (len(PAGE), PAGE))
        self.assertGreater(visit.seconds, 0)

    async def test_large_page(self) -> None:
        """Of a large page only the beginning is kept, and all of it counted."""
        visit = await (await self.visitor()).fetch(SERVED, f"/big?bytes={KEPT * 3}")
        self.assertEqual((visit.ok, visit.size, len(visit.body)), (True, KEPT * 3, KEPT))

    async def test_request(self) -> None:
        """Method and body go to the site."""
        visit = await (await self.visitor()).fetch(SERVED, "/echo", method="PUT", data=b"hello")
        self.assertIn(b'"method":"PUT"', visit.body)
        self.assertIn(b'"body":"hello"', visit.body)

    async def test_status_of_an_error(self) -> None:
        """A page with an error status is no success."""
        visit = await (await self.visitor()).fetch(SERVED, "/nowhere")
        self.assertEqual((visit.ok, visit.status), (False, 404))

    async def test_refused(self) -> None:
        """When Tor cannot connect, its reply is the error."""
        visit = await (await self.visitor()).fetch(REFUSED)
        self.assertEqual((visit.ok, visit.status), (False, None))
        self.assertIn("0x04", visit.error or "")

    async def test_deadline(self) -> None:
        """A visit that does not come to an end is ended."""
        visit = await (await self.visitor(0.2)).fetch(SILENT)
        self.assertEqual((visit.ok, visit.error), (False, "nothing within 0.2 s"))

    async def test_circuits_of_their_own(self) -> None:
        """No two visits share circuits, not even those of two visitors at the same client."""
        first = await self.visitor()
        second = Visitor(first.client, reactor)
        for visitor in (first, first, second):
            await visitor.fetch(SERVED)
        self.assertEqual(len(set(self.socks.isolations)), 3)
        self.assertNotIn(None, self.socks.isolations)


class Link:
    """Notes the signals that would be sent."""

    def __init__(self) -> None:
        self.signals: list[str] = []

    async def signal(self, name: str) -> None:
        self.signals.append(name)


class ForgetTests(SynchronousTestCase):
    """Fresh descriptors, as often as Tor allows."""

    def setUp(self) -> None:
        self.clock, self.link = Clock(), Link()
        self.client = LabClient(ClientState(directory="/x", control_port=1, socks_port=2), self.clock)
        self.client._link = self.link  # type: ignore[assignment]

    def test_first_at_once(self) -> None:
        """The first time there is nothing to wait for."""
        self.assertTrue(self.client.may_forget)
        self.successResultOf(deferred(self.client.forget()))
        self.assertEqual(self.link.signals, ["NEWNYM"])
        self.assertFalse(self.client.may_forget)

    def test_second_waits(self) -> None:
        """Tor would put the signal off without telling: wait until it does what it is told."""
        self.successResultOf(deferred(self.client.forget()))
        self.clock.advance(3)
        second = deferred(self.client.forget())
        self.clock.advance(NEWNYM_INTERVAL - 3.5)
        self.assertNoResult(second)
        self.clock.advance(0.5)
        self.successResultOf(second)
        self.assertEqual(len(self.link.signals), 2)

    def test_not_connected(self) -> None:
        """A client that was not connected says so."""
        client = LabClient(ClientState(directory="/x", control_port=1, socks_port=2), self.clock)
        self.failureResultOf(deferred(client.forget()), RuntimeError)
        self.successResultOf(deferred(client.close()))
