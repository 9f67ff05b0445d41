"""Tests for L{rustbalance.mesh.direct}, on real sockets."""

import os

from twisted.internet import reactor  # noqa: TID251  (real sockets)
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from rustbalance.mesh import stream_carrier
from rustbalance.mesh.direct import DirectCarrier, parse, shown
from rustbalance.mesh.stream_carrier import UnusableAddress
from tests.mesh.peers import FAST, Node, Record, introduce, until
from tests.mesh.sealed import Member, large_message, members

NAMES = ("a", "b", "c")


class Caller(Protocol):
    """Somebody who is no member: says a few bytes and notes what comes of it."""

    def __init__(self, says: bytes) -> None:
        self._says = says
        self.heard = b""
        self.gone: Deferred[bytes] = Deferred()

    def connectionMade(self) -> None:
        """Say it."""
        assert self.transport is not None
        self.transport.write(self._says)

    def dataReceived(self, data: bytes) -> None:
        """Note it."""
        self.heard += data

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008  (as Twisted declares it)
        """Say what was heard."""
        self.gone.callback(self.heard)


class DirectCarrierTests(TestCase):
    """Nodes on loopback."""

    timeout = 60

    def carrier(self, listen: str = "127.0.0.1:0") -> DirectCarrier:
        """Return a carrier that is stopped at the end of the test."""
        carrier = DirectCarrier(listen, reactor, FAST, lambda failures: 0.1)
        self.addCleanup(lambda: carrier.stopService() if carrier.running else None)
        return carrier

    def node(self, name: str, listen: str = "127.0.0.1:0") -> Node:
        """Return a node that has started."""
        node = Node(name, self.carrier(listen), set(NAMES) - {name})
        node.carrier.startService()
        return node

    async def mesh(self, listen: str = "127.0.0.1:0") -> tuple[Node, Node, Node]:
        """Return three nodes that know each other, as soon as all links are up."""
        a, b, c = (self.node(name, listen) for name in NAMES)
        introduce((a, b, c))
        took = await until(lambda: all(node.carrier.status().links_up == 2 for node in (a, b, c)))
        self.assertLess(took, 2)
        return a, b, c

    async def heard(self, listener: Node, speaker: Node, text: bytes) -> None:
        """Let one node say something to another, and wait for it."""
        speaker.say(listener.name, text)
        await until(lambda: listener.has_heard(speaker.name, text))

    def call(self, node: Node, says: bytes) -> Deferred[Caller]:
        """Connect to a node as a stranger."""
        host, port = parse(str(node.carrier.address).removeprefix("direct:"))
        connecting: Deferred[Caller] = connectProtocol(TCP4ClientEndpoint(reactor, host, port), Caller(says))
        return connecting

    async def test_full_mesh(self) -> None:
        """Three nodes have all links within two seconds, and each hears each."""
        nodes = await self.mesh()
        for speaker in nodes:
            for listener in set(nodes) - {speaker}:
                await self.heard(listener, speaker, b"frame")
        status = nodes[0].carrier.status()
        self.assertEqual((status.name, status.links_up, status.links_down, status.problem), ("direct", 2, 0, None))
        self.assertEqual(status.listening, nodes[0].carrier.address)

    async def test_ipv6(self) -> None:
        """The same over IPv6."""
        a, b, _ = await self.mesh("[::1]:0")
        self.assertRegex(str(a.carrier.address), r"^direct:\[::1\]:\d+$")
        await self.heard(b, a, b"frame")

    async def test_large_frames(self) -> None:
        """Frames of 500 kB and of the largest size arrive whole, and what is sent behind them behind them."""
        a, b, _ = await self.mesh()
        for size in (500_000, 1024 * 1024 - 2):
            large = os.urandom(size)
            a.say("b", large)
            await self.heard(b, a, b"behind")
            self.assertEqual([text for _, text in b.heard if text != b"hello"], [large, b"behind"])
            b.heard.clear()

    async def test_comes_back(self) -> None:
        """A node that stops and starts again at its old address is linked again within seconds."""
        a, b, c = await self.mesh()
        address = str(b.carrier.address)
        await b.carrier.stopService()
        await until(lambda: a.carrier.status().links_up == 1)
        back = self.node("b", address.removeprefix("direct:"))
        self.assertEqual(back.carrier.address, address)
        back.carrier.set_peers([a.record(), c.record()])
        await until(lambda: a.carrier.status().links_up == 2)
        await self.heard(back, a, b"welcome back")

    async def test_moves(self) -> None:
        """A node that comes back at another address is linked again when its new record is known."""
        a, b, c = await self.mesh()
        await b.carrier.stopService()
        back = self.node("b")
        a.carrier.set_peers([back.record(), c.record()])
        await self.heard(back, a, b"welcome back")

    async def test_vanished(self) -> None:
        """A peer whose machine takes streams and never answers is given up, dialled again, and called down."""
        accepted: list[Protocol] = []

        def black_hole() -> Protocol:
            accepted.append(Protocol())
            return accepted[-1]

        port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(Factory.forProtocol(black_hole))
        self.addCleanup(port.stopListening)
        a = self.node("a")
        a.carrier.set_peers([Record("b", (f"direct:127.0.0.1:{port.getHost().port}",))])
        await until(lambda: len(accepted) == 3)
        self.assertEqual(a.carrier.status().problem, "no link to b: no answer for 0.8 s")

    async def test_strangers(self) -> None:
        """Whoever is no member hears nothing: not for nonsense, not for a frame of nobody we know, not for silence."""
        a, _, _ = await self.mesh()
        for says in (b"GET / HTTP/1.1\r\n\r\n", b"\x00\x00\x00\x07x:hello" * 3, b"", b"\x80\x00\x00\x01"):
            caller = await self.call(a, says)
            self.assertEqual(await caller.gone, b"")
        await until(lambda: a.carrier.status().links_up == 2)

    async def test_port_taken(self) -> None:
        """A port that somebody else has is a problem that the status shows; the node can dial all the same."""
        a = self.node("a")
        b = self.node("b", str(a.carrier.address).removeprefix("direct:"))
        self.assertIsNone(b.carrier.address)
        self.assertIn("cannot listen", str(b.carrier.status().problem))
        self.assertEqual(len(self.flushLoggedErrors()), 0)
        a.carrier.set_peers([Record("b")])
        b.carrier.set_peers([a.record()])
        await self.heard(b, a, b"frame")

    async def test_port_free_again(self) -> None:
        """When the port is free the node listens, and its address has to be in its record at once."""
        self.patch(stream_carrier, "UNABLE", 0.1)
        a = self.node("a")
        place = str(a.carrier.address)
        b = self.node("b", place.removeprefix("direct:"))
        moved: list[str] = []
        b.carrier.moved = moved.append
        await a.carrier.stopService()
        await until(lambda: moved == [place])
        self.assertEqual((b.carrier.address, b.carrier.status().problem), (place, None))

    async def test_sealed(self) -> None:
        """With frames as the cluster seals them: heartbeats and a large message are opened, and none is refused."""
        team = members(NAMES)
        await self.sealed_mesh(team)
        a, b, _ = team
        message = large_message(500_000)
        self.assertGreater(a.say("b", message), 500_000)
        await until(lambda: b.heard == [("a", message)])
        for member in team:
            await until(lambda member=member: all(member.beats[other] > 0 for other in member.others))  # type: ignore[misc]
            self.assertEqual(member.opener.rejected, {})

    async def sealed_mesh(self, team: list[Member]) -> None:
        """Connect members that seal their frames."""
        for member in team:
            member.on(self.carrier())
            member.carrier.startService()
            heartbeats = member.beating(reactor)
            heartbeats.startService()
            self.addCleanup(heartbeats.stopService)
        for member in team:
            records = [other.record(str(other.carrier.address)) for other in team if other is not member]
            member.carrier.set_peers(records)
        await until(lambda: all(member.carrier.status().links_up == 2 for member in team))


class ParseTests(SynchronousTestCase):
    """L{parse} and L{shown}."""

    def test_usable(self) -> None:
        """Loopback and private networks, in both families."""
        for text, found in (
            ("127.0.0.1:7", ("127.0.0.1", 7)),
            ("10.1.2.3:65535", ("10.1.2.3", 65535)),
            ("192.168.0.9:1", ("192.168.0.9", 1)),
            ("[::1]:7", ("::1", 7)),
            ("[fd00::1]:7", ("fd00::1", 7)),
        ):
            self.assertEqual(parse(text), found)
            self.assertEqual(shown(*found), text)

    def test_port_0_is_for_listening(self) -> None:
        """Nobody can be dialled at port 0."""
        self.assertEqual(parse("127.0.0.1:0", lowest_port=0), ("127.0.0.1", 0))
        self.assertRaises(UnusableAddress, parse, "127.0.0.1:0")

    def test_unusable(self) -> None:
        """No name is looked up, nobody on the Internet is dialled, no port is guessed; each rule is named."""
        for text, rule in (
            ("example.org:80", "names are not looked up"),
            ("localhost:80", "names are not looked up"),
            (":80", "must be an IP address"),
            ("", "must be an IP address"),
            ("8.8.8.8:80", "private network"),
            ("[2001:4860:4860::8888]:80", "private network"),
            ("0.0.0.0:80", "private network"),
            ("224.0.0.1:80", "private network"),
            ("127.0.0.1", "must be an IP address"),
            ("127.0.0.1:", "must be a number"),
            ("127.0.0.1:65536", "must be a number"),
            ("127.0.0.1:-1", "must be a number"),
            ("127.0.0.1:\u0667", "must be a number"),
        ):
            with self.assertRaisesRegex(UnusableAddress, rule):
                parse(text)

    def test_listens_nowhere_else(self) -> None:
        """A carrier that would listen to the whole world is refused when it is made."""
        for listen in ("0.0.0.0:0", "[::]:0", "node.example:0"):
            self.assertRaises(UnusableAddress, DirectCarrier, listen, reactor)
