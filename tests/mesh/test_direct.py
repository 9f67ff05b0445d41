"""Tests for L{rustbalance.mesh.direct}, on real sockets."""

import os
import socket
from typing import Any

from twisted.internet import reactor  # noqa: TID251  (real sockets)
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.trial.unittest import SynchronousTestCase, TestCase

from rustbalance.mesh.direct import DirectCarrier, UnusableAddress, parse, shown
from rustbalance.mesh.streams import header
from tests.mesh.peers import FAST, Node, Record, introduce, until

NAMES = ("a", "b", "c")


class DirectCarrierTests(TestCase):
    """Nodes on loopback."""

    timeout = 60

    def node(self, name: str, listen: str = "127.0.0.1:0") -> Node:
        """Return a node that has started; it is stopped at the end of the test."""
        carrier = DirectCarrier(listen, reactor, FAST, lambda failures: 0.1)
        node = Node(name, carrier, set(NAMES) - {name})
        carrier.startService()
        self.addCleanup(carrier.stopService)
        return node

    def mesh(self) -> tuple[Node, Node, Node]:
        """Return three nodes that know each other."""
        a, b, c = (self.node(name) for name in NAMES)
        introduce((a, b, c))
        return a, b, c

    async def full(self, *nodes: Node) -> float:
        """Wait until every link is up."""
        return await until(lambda: all(node.carrier.status().links_down == 0 for node in nodes))

    async def test_full_mesh(self) -> None:
        """Three nodes have all links within two seconds, and each hears each."""
        a, b, c = self.mesh()
        self.assertLess(await self.full(a, b, c), 2)
        for node in (a, b, c):
            for other in (a, b, c):
                if other is not node:
                    node.say(other.name, b"frame of " + node.name.encode())
                    await until(lambda other=other, node=node: other.has_heard(node.name, b"frame of " + node.name.encode()))  # type: ignore[misc]
        status = a.carrier.status()
        self.assertEqual((status.name, status.links_up, status.problem), ("direct", 2, None))
        self.assertEqual(status.listening, a.carrier.address)

    async def test_large_frame(self) -> None:
        """A frame of 500 kB arrives whole, and so does what is sent behind it."""
        a, b, c = self.mesh()
        await self.full(a, b, c)
        large = os.urandom(500_000)
        a.say("b", large)
        a.say("b", b"behind")
        await until(lambda: b.has_heard("a", b"behind"))
        self.assertTrue(b.has_heard("a", large))
