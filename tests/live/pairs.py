"""A node with two Tors before another onion service, so that visits need both ways through Tor; and what hits it."""

import os
import random
import signal
from pathlib import Path
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.protocol import Factory, Protocol

from rustbalance.lab.node import LabNode
from rustbalance.lab.plain import PlainService
from rustbalance.lab.ports import PortBlock
from rustbalance.lab.site import TargetSite
from rustbalance.lab.visits import Visit
from rustbalance.life import deferred, pause, within
from rustbalance.ops.status import InstanceStatus, NodeStatus
from tests.live.nodes import NodeTestCase
from tests.live.pace import Pace

reactor: Any = global_reactor
KILL, STOP = 2.0, 10.0
"""Seconds after which streams must get out again when a Tor is killed, and when it hangs."""


class Asking(Protocol):
    """Sends one request to a front and waits for all of the answer."""

    def __init__(self) -> None:
        self.answer: Deferred[bytes] = Deferred()
        self._heard = b""

    def connectionMade(self) -> None:
        """Ask."""
        self.transport.write(b"GET / HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n")  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        """Keep it."""
        self._heard += data

    def connectionLost(self, reason: object = None) -> None:
        """Take it for the answer."""
        self.answer.callback(self._heard)


class PairTestCase(NodeTestCase):
    """C{self.node}, not yet started, whose target is an onion service; C{self.tor_lines} go to its section C{tor}."""

    timeout = 900
    tor_lines = ""

    async def prepare(self) -> None:
        """Make the other onion service and the node."""
        await super().prepare()
        site = TargetSite(reactor)
        where = await site.start()
        self.addCleanup(lambda: deferred(site.stop()))
        ports = PortBlock.reserve(random.Random())
        self.addCleanup(ports.release)
        include = Path(self.network.include_path)
        port = int(where.rpartition(":")[2])
        plain = PlainService(self.directory / "plain", include.read_text(), port, ports.take(), reactor)
        self.addCleanup(lambda: deferred(plain.stop()))
        await plain.start()
        await plain.published(8)
        self.node = LabNode("node", self.directory / "node", plain.onion, include, reactor)
        self.addCleanup(lambda: deferred(self.node.stop()))
        if self.tor_lines:
            text = self.node.config.read_text()
            self.node.config.write_text(text.replace("[tor]", f"[tor]\n{self.tor_lines}", 1))
        self.visitors = await self.visitor(45.0)

    async def ready(self, points: int = 6) -> NodeStatus:
        """Wait until both Tors serve, the primary is used, and so many points are published."""

        def well(status: NodeStatus) -> bool:
            pair = status.pair is not None and (status.pair.active, status.pair.phase) == ("primary", "primary")
            out = all(
                one.confirmed == 8 and one.introduction_points + one.left_out == points for one in status.descriptors
            )
            return pair and out and all(tor.phase == "serving" for tor in status.instances) and status.published

        return await self.node.until(well, 180.0)

    async def out(self) -> Visit:
        """Ask for a page at the front itself, which has to fetch it through Tor."""
        began = reactor.seconds()
        asking = Asking()
        endpoint = UNIXClientEndpoint(reactor, str(self.directory / "node" / "state" / "front.sock"))
        try:
            await endpoint.connect(Factory.forProtocol(lambda: asking))
            answer = await within(30.0, reactor, asking.answer)
        except Exception as error:
            return Visit(False, reactor.seconds() - began, error=repr(error))
        return Visit(answer.startswith(b"HTTP/1.1 200 "), reactor.seconds() - began, error=repr(answer[:40]))

    async def visit(self) -> Visit:
        """Visit the address as anybody would."""
        return await self.visitors.fetch(self.node.onion_address)

    def paces(self) -> tuple[Pace, Pace]:
        """Let visitors come twice a second, and streams go out four times; everything ends with the test."""
        visits, streams = Pace(self.visit, 0.5), Pace(self.out, 0.25)
        for pace in (visits, streams):
            pace.begin()
            self.addCleanup(self._end, pace)
        return visits, streams

    def _end(self, pace: Pace) -> Deferred[None]:
        return deferred(pace.end())

    async def fresh(self) -> None:
        """Let the client fetch the descriptor anew, so that it knows the points of both Tors; some visits are made."""
        await self.visitors.client.forget()
        await pause(reactor, 4.0)

    async def instance(self, name: str) -> InstanceStatus:
        """Return how one of the node's Tors is."""
        status = await self.node.status()
        assert status is not None
        return next(tor for tor in status.instances if tor.name == name)

    async def hit(self, number: signal.Signals, name: str = "primary") -> float:
        """Send a Tor of the node a signal and return when."""
        pid = (await self.instance(name)).pid
        assert pid is not None
        os.kill(pid, number)
        return float(reactor.seconds())

    async def left(self) -> None:
        """Wait until the standby is used."""
        await self.node.until(lambda status: status.pair is not None and status.pair.active == "standby", STOP)

    async def again(self, streams: Pace, hit: float, bound: float) -> float:
        """Return after how many seconds a stream got out that began after C{hit}; it must within C{bound}."""
        while (took := streams.first(hit)) is None:
            self.assertLess(reactor.seconds() - hit, bound, f"nothing gets out: {streams.failures(hit)}")
            await pause(reactor, 0.05)
        self.assertLess(took, bound)
        return took

    def said(self, words: str) -> int:
        """Return in how many lines the daemon has said something."""
        return sum(words in line for line in (self.directory / "node" / "output.log").read_text().splitlines())

    def report(self, what: signal.Signals, hit: float, visits: Pace, streams: Pace) -> None:
        """Print how it went."""
        first, stalled = streams.first(hit) or 0.0, streams.stalled(hit, 3.0)
        slowest = max(one.visit.seconds for one in visits.since(hit))
        print(
            f"\n{what.name}: out again after {first:.1f} s, for good after {stalled:.1f} s; "
            f"{len(visits.since(hit))} visits since, {len(visits.failures(hit))} failed, slowest {slowest:.1f} s"
        )
