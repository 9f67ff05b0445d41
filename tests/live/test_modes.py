"""The same node in its other modes: with a Tor that somebody else runs, and in front of another onion service."""

import random
import signal
from pathlib import Path

from twisted.internet import reactor

from rustbalance.lab import torrc
from rustbalance.lab.node import LabNode
from rustbalance.lab.plain import PlainService
from rustbalance.lab.ports import PortBlock
from rustbalance.lab.site import PAGE, TargetSite
from rustbalance.lab.tor import LabTor
from rustbalance.life import deferred, within
from tests.live.nodes import NodeTestCase


class ExternalModeTests(NodeTestCase):
    """C{tor.mode = "external"}."""

    async def external(self) -> LabTor:
        """Start a Tor with a control port and a SOCKS port, and point the node to it."""
        ports = PortBlock.reserve(random.Random())
        self.addCleanup(ports.release)
        control, socks = ports.take(), ports.take()
        options = Path(self.network.include_path).read_text() + torrc.client(control, socks)
        tor = LabTor("external", self.directory / "external", options, reactor, control)
        self.addCleanup(lambda: deferred(tor.stop()))
        tor.start()
        await (await tor.control()).close()
        text = self.node.config.read_text()
        lines = f'[tor]\nmode = "external"\ncontrol_port = {control}\nsocks_port = {socks}'
        text = "\n".join(line for line in text.splitlines() if not line.startswith("torrc_include"))
        self.node.config.write_text(text.replace("[tor]", lines, 1))
        return tor

    async def test_serves_and_comes_back_with_its_tor(self) -> None:
        """
        Pages come through a Tor that we did not start, also after that Tor was restarted without our service.

        When the node ends, that Tor lives on.
        """
        await self.prepare()
        tor = await self.external()
        await self.serving()
        await self.page()
        child = tor.child
        assert child is not None
        child.send(signal.SIGKILL)
        await within(10.0, reactor, child.gone())
        tor.start()
        await self.page()
        await self.node.stop()
        assert tor.child is not None
        self.assertTrue(tor.child.alive)


class OnionTargetTests(NodeTestCase):
    """C{target.onion_address}: the site is itself an onion service."""

    async def test_pages_come_from_the_other_onion(self) -> None:
        """A visitor gets the other service's page; that one sees only its own name, and our log never names it."""
        await self.prepare()
        site = TargetSite(reactor)
        where = await site.start()
        self.addCleanup(lambda: deferred(site.stop()))
        ports = PortBlock.reserve(random.Random())
        self.addCleanup(ports.release)
        include = Path(self.network.include_path).read_text()
        port = int(where.rpartition(":")[2])
        plain = PlainService(self.directory / "plain", include, port, ports.take(), reactor)
        self.addCleanup(lambda: deferred(plain.stop()))
        await plain.start()
        await plain.published(8)
        directory = self.directory / "onion-node"
        self.node = LabNode("node", directory, plain.onion, Path(self.network.include_path), reactor)
        self.addCleanup(lambda: deferred(self.node.stop()))
        await self.serving()
        await self.page()
        visit = await self.visitors.fetch(self.node.onion_address)
        self.assertEqual((visit.status, visit.body), (200, PAGE), visit.error)
        echo = await self.visitors.fetch(self.node.onion_address, "/echo", method="POST", data=b"x" * 5000)
        self.assertEqual(echo.status, 200, echo.error)
        self.assertIn(plain.onion.encode(), echo.body)
        self.assertNotIn(self.node.onion_address.encode(), echo.body)
        large = await self.visitors.fetch(self.node.onion_address, "/big?bytes=2000000")
        self.assertEqual(large.size, 2_000_000, large.error)
        self.assertNotIn(plain.onion, self.log)

    @property
    def log(self) -> str:
        """What the daemon has printed."""
        return (self.directory / "onion-node" / "output.log").read_text()
