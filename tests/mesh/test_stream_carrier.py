"""Tests for L{rustbalance.mesh.stream_carrier}, in memory and in simulated time."""

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.test.iosim import FakeAddress, IOPump
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.envelope import MAX_FRAME
from rustbalance.mesh.carrier import NodeId
from rustbalance.mesh.links import Attempt
from rustbalance.mesh.stream_carrier import STRANGERS, StreamCarrier, UnusableAddress
from rustbalance.mesh.streams import Timings, header
from tests.mesh.memory import Dialled, Network, every_second, joined
from tests.mesh.peers import Node, Record, introduce

TIMINGS = Timings(keepalive=4.0, doubt=3.0, silence=8.0, idle=20.0, stranger=30.0, lifetime=4.0)


class MemoryCarrier(StreamCarrier):
    """A carrier on a network in memory, at the address that is its name."""

    scheme = "memory"

    def __init__(self, name: str, network: Network, clock: Clock) -> None:
        super().__init__(clock, TIMINGS, float, clock.seconds)
        self._name = name
        self._network = network

    @property
    def address(self) -> str | None:
        """Return the address while somebody listens there."""
        return f"memory:{self._name}" if self._name in self._network.listening else None

    def endpoint(self, peer: NodeId, address: str, attempt: Attempt) -> IStreamClientEndpoint:
        """Return one attempt."""
        if address == "unusable":
            raise UnusableAddress("the address is unusable")
        return Dialled(self._network, address, attempt.number)

    async def listen(self, factory: Factory) -> None:
        """Be there."""
        self._network.listening[self._name] = factory

    async def hang_up(self) -> None:
        """Be there no more."""
        self._network.listening.pop(self._name, None)


class Stranger(Protocol):
    """Somebody who connects and notes what he is told."""

    def __init__(self) -> None:
        self.heard = b""
        self.gone = False

    def dataReceived(self, data: bytes) -> None:
        """Note it."""
        self.heard += data

    def connectionLost(self, reason: object = ConnectionDone()) -> None:
        """Note it."""
        self.gone = True


class StreamCarrierTests(SynchronousTestCase):
    """L{StreamCarrier}."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.network = Network()

    def node(self, name: str, members: str = "abc") -> Node:
        """Return a node that has started."""
        node = Node(name, MemoryCarrier(name, self.network, self.clock), set(members) - {name})
        node.carrier.startService()
        return node

    def mesh(self) -> tuple[Node, Node, Node]:
        """Return three nodes with all links up."""
        a, b, c = (self.node(name) for name in "abc")
        introduce((a, b, c))
        self.later(2)
        return a, b, c

    def later(self, seconds: int) -> None:
        """Let time pass."""
        every_second(self.clock, self.network, seconds)

    def stopped(self, node: Node) -> Deferred[None]:
        """Return the end of a node's carrier."""
        ending: Deferred[None] = node.carrier.stopService()
        return ending

    def up(self, node: Node) -> tuple[int, int]:
        """Return how many links are up and down."""
        status = node.carrier.status()
        return status.links_up, status.links_down

    def visit(self, address: str) -> tuple[Stranger, IOPump]:
        """Connect somebody who is no member."""
        stranger, stream = Stranger(), self.network.listening[address].buildProtocol(FakeAddress())
        assert stream is not None
        pump = joined(stream, stranger)
        self.network.pumps.append(pump)
        return stranger, pump

    def test_rejoin(self) -> None:
        """A peer that is to be joined anew loses its streams and is dialled again; one that is none is no error."""
        a, b, _ = self.mesh()
        a.carrier.rejoin("nobody")
        self.assertEqual(self.up(a), (2, 0))
        self.network.dialled.clear()
        a.carrier.rejoin("b")
        self.assertEqual(self.up(a), (1, 1))
        self.later(30)
        self.assertEqual((self.up(a), self.up(b)), ((2, 0), (2, 0)))
        self.assertNotIn(1, [attempt for _, attempt in self.network.dialled], "over Tor that is the circuit of before")
        a.say("b", b"again")
        self.later(1)
        self.assertTrue(b.has_heard("a", b"again"))

    def test_mesh(self) -> None:
        """Everybody is linked with everybody, greets, and is heard."""
        for node in self.mesh():
            self.assertEqual(self.up(node), (2, 0))
            others = set("abc") - {node.name}
            self.assertEqual(set(node.opened), others)
            self.assertEqual({sender for sender, _ in node.heard}, others)
            self.assertIsNone(node.carrier.status().problem)

    def test_frames_for_nobody(self) -> None:
        """A frame for somebody who is no peer is dropped and counted; an impossible frame is an error of the caller."""
        a, _, _ = self.mesh()
        a.carrier.send("x", b"frame")
        self.assertEqual(a.carrier.status().frames_dropped, 1)
        for frame in (b"", bytes(MAX_FRAME + 1)):
            self.assertRaises(ValueError, a.carrier.send, "b", frame)

    def test_unreachable(self) -> None:
        """A peer that cannot be reached is named, with the reason."""
        a = self.node("a")
        a.carrier.set_peers([Record("b", ("memory:nowhere",)), Record("c", ("memory:unusable", "tor:x.onion"))])
        self.later(2)
        status = a.carrier.status()
        self.assertEqual((status.links_up, status.links_down), (0, 2))
        self.assertIn("no link to b, c: Connection was refused", str(status.problem))
        a.carrier.set_peers([Record("c", ("memory:unusable",))])
        self.later(2)
        self.assertEqual(a.carrier.status().problem, "no link to c: the address is unusable")

    def test_without_an_address(self) -> None:
        """A peer without an address on this carrier is not dialled, and answered when it comes."""
        a, b = self.node("a"), self.node("b")
        a.carrier.set_peers([Record("b", ("tor:x.onion",))])
        b.carrier.set_peers([a.record()])
        self.later(1)
        self.assertEqual([address for address, _ in self.network.dialled], ["a"])
        a.say("b", b"answer")
        self.later(1)
        self.assertTrue(b.has_heard("a", b"answer"))

    def test_peers_change(self) -> None:
        """Who is no peer any more is cut off, who has moved is dialled at the new place, the rest is left alone."""
        a, b, c = self.mesh()
        dialled = len(self.network.dialled)
        a.carrier.set_peers([Record("b", ("memory:elsewhere",)), c.record()])
        self.later(1)
        self.assertIn("elsewhere", [address for address, _ in self.network.dialled[dialled:]])
        self.assertNotIn("c", [address for address, _ in self.network.dialled[dialled:]])
        a.carrier.set_peers([c.record()])
        a.heard.clear()
        self.later(20)
        self.assertEqual((self.up(a), self.up(b), self.up(c)), ((1, 0), (1, 1), (2, 0)))

    def test_late_introduction(self) -> None:
        """A member that has dialled before we were told about it counts as soon as we are."""
        a, b = self.node("a"), self.node("b")
        b.carrier.set_peers([a.record()])
        self.later(1)
        self.assertEqual((a.heard, self.up(a)), ([("b", b"hello")], (0, 0)))
        a.carrier.set_peers([Record("b")])
        b.say("a", b"once more")
        self.later(1)
        self.assertEqual((self.up(a), a.opened), ((1, 0), ["b"]))

    def test_comes_back(self) -> None:
        """A node that was away and dials us is dialled at once, without waiting for the next attempt."""
        a = self.node("a")
        a.carrier.set_peers([Record("b", ("memory:b",))])
        self.later(60)
        b = self.node("b")
        attempts = len(self.network.dialled)
        b.carrier.set_peers([a.record()])
        self.network.flush()
        self.assertEqual([address for address, _ in self.network.dialled[attempts:]], ["a", "b"])

    def test_strangers(self) -> None:
        """Who is no member is refused, hears nothing, and is cut off; the oldest make room for newer ones."""
        a = self.node("a")
        visits = [self.visit("a") for _ in range(STRANGERS + 2)]
        for _, pump in visits:
            pump.clientIO.write(header(b"x:hello") + b"x:hello")
        self.network.flush()
        self.assertEqual(a.refused, [b"x:hello"] * STRANGERS)
        self.assertEqual([stranger.gone for stranger, _ in visits], [True, True] + [False] * STRANGERS)
        self.later(32)
        self.assertEqual({(stranger.gone, stranger.heard) for stranger, _ in visits}, {(True, b"")})

    def test_one_name_to_a_stream(self) -> None:
        """A member that passes another's frames on over its own stream does not become the way to that other."""
        a, c = self.node("a"), self.node("c")
        a.carrier.set_peers([Record("b"), c.record()])
        c.carrier.set_peers([a.record()])
        self.later(1)
        c.carrier.send("a", b"b:passed on")
        self.later(1)
        a.say("b", b"for b only")
        self.later(1)
        self.assertTrue(a.has_heard("b", b"passed on"))
        self.assertNotIn(("a", b"for b only"), c.heard)
        self.assertEqual(self.up(a), (1, 1))

    def test_broken_listener(self) -> None:
        """An error in whoever is told of a new link does not harm the link."""
        a, b = self.node("a"), self.node("b")
        a.carrier.link_opened = lambda peer: [][0]
        introduce((a, b))
        a.say("b", b"frame")
        self.later(1)
        self.assertTrue(b.has_heard("a", b"frame"))
        self.assertTrue(self.flushLoggedErrors(IndexError))

    def test_stop_lets_the_last_word_arrive(self) -> None:
        """What was sent just before the stop is confirmed before the streams end: so a lease is released."""
        a, b, _ = self.mesh()
        a.say("b", b"I release the lease")
        ending = self.stopped(a)
        self.assertNoResult(ending)
        self.assertFalse(any(pump.clientIO.disconnecting or pump.serverIO.disconnecting for pump in self.network.pumps))
        self.network.flush()
        self.successResultOf(ending)
        self.assertTrue(b.has_heard("a", b"I release the lease"))
        self.assertEqual(self.up(b)[0], 1)

    def test_stop_has_a_deadline(self) -> None:
        """A peer that does not confirm does not keep us from stopping."""
        a, _, _ = self.mesh()
        a.say("b", b"I release the lease")
        ending = self.stopped(a)
        self.clock.advance(1.5)
        self.clock.advance(0.5)
        self.successResultOf(ending)

    def test_nothing_is_left(self) -> None:
        """After the stop of all nodes no timer runs and no stream is open."""
        for node in self.mesh():
            ending = self.stopped(node)
            self.network.flush()
            self.clock.advance(2)
            self.successResultOf(ending)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.network.listening, {})

    def test_starts_later(self) -> None:
        """Peers that are known before the start are dialled at the start."""
        a = Node("a", MemoryCarrier("a", self.network, self.clock), "b")
        a.carrier.set_peers([Record("b", ("memory:b",))])
        self.later(3)
        self.assertEqual(self.network.dialled, [])
        a.carrier.startService()
        self.assertEqual(self.network.dialled, [("b", 1)])
