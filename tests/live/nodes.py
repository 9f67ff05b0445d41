"""A node of ours in front of a site of ours, for one live test."""

import shutil
import tempfile
from pathlib import Path

from twisted.internet import reactor

from rustbalance.lab.client import Visitor
from rustbalance.lab.node import LabNode
from rustbalance.lab.site import TargetSite
from rustbalance.lab.visits import Visit
from rustbalance.life import deferred, pause
from tests.live.network import LiveTestCase


class NodeTestCase(LiveTestCase):
    """A test with C{self.site}, C{self.node} (not yet started) and C{self.visitors}; everything ends with the test."""

    async def prepare(self) -> None:
        """Make the site (on a Unix socket), the node's directory and a visitor."""
        self.directory = Path(tempfile.mkdtemp(prefix="rb-node-", dir="/tmp"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)
        self.site = TargetSite(reactor)
        self.target = self.directory / "site.sock"
        target = await self.site.start(self.target)
        self.addCleanup(lambda: deferred(self.site.stop()))
        self.node = LabNode("node", self.directory / "node", target, Path(self.network.include_path), reactor)
        self.addCleanup(lambda: deferred(self.node.stop()))
        self.visitors: Visitor = await self.visitor()

    async def serving(self) -> None:
        """Start the node and wait until both descriptors are published."""
        self.node.start()
        await self.node.published()

    async def page(self, deadline: float = 90.0) -> float:
        """
        Visit until a page comes; return the seconds that took. A visit under way when it is too late is the last.

        Who got none tries again with the descriptor it has, as browsers do: a client finds out by itself that the
        points in it are dead.
        """
        began = reactor.seconds()
        errors: list[str] = []
        while reactor.seconds() < began + deadline:
            visit: Visit = await self.visitors.fetch(self.node.onion_address)
            if visit.ok:
                return float(reactor.seconds() - began)
            errors.append(visit.error or f"status {visit.status}")
            await pause(reactor, 0.1)
        status = await self.node.status()
        last_words = self.tor_log.splitlines()[-40:]
        raise AssertionError("\n".join([f"no page within {deadline} s: {errors}", repr(status), *last_words]))

    @property
    def tor_log(self) -> str:
        """What the node's Tor has logged since its last start."""
        return (self.directory / "node" / "state" / "tor" / "primary" / "tor.log").read_text()
