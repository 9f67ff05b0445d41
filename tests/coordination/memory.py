"""
A cluster in memory and in simulated time.

Owns: nodes with a Tor each (``tests.publishing.memory``), the same directories for all of them, and a carrier that
loses what a test wants lost. Frames are really sealed and opened.
"""

import shutil
from collections.abc import Collection
from dataclasses import dataclass, field, replace

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.keys import KeyRing, TokenKeys
from rustbalance.cluster.messages import NodeRecord
from rustbalance.coordination.conversation import Conversation
from rustbalance.coordination.settings import Seed
from rustbalance.mesh.carrier import Carrier, CarrierStatus, NodeId, Peer, address_of
from rustbalance.ops.status import ClusterStatus
from rustbalance.secrets import Secret
from tests.publishing.memory import Node

DELAY = 0.02
"""Seconds that a frame takes."""

ROUNDS = 3
"""How far each node's bytes move in one step of time; what is left moves in the next."""


@dataclass
class Wires:
    """
    Who listens where, and what is cut.

    ``cut``: pairs (from, to) between which nothing passes. ``frames``: all that were sent, with sender and addressee.
    """

    clock: Clock
    listening: dict[str, "MemoryCarrier"] = field(default_factory=dict)
    cut: set[tuple[NodeId, NodeId]] = field(default_factory=set)
    frames: list[tuple[NodeId, NodeId, bytes]] = field(default_factory=list)

    def carry(self, sender: NodeId, address: str, frame: bytes) -> None:
        """Let a frame arrive a moment later, if somebody listens there by then."""
        self.clock.callLater(DELAY, self._arrive, sender, address, frame)

    def _arrive(self, sender: NodeId, address: str, frame: bytes) -> None:
        there = self.listening.get(address)
        if there is None or (sender, there.node) in self.cut:
            return
        self.frames.append((sender, there.node, frame))
        there.received(frame)


class MemoryCarrier(Carrier):
    """Carries frames between the nodes of one process."""

    scheme = "memory"

    def __init__(self, node: NodeId, wires: Wires) -> None:
        super().__init__()
        self.node = node
        self.peers: dict[NodeId, str] = {}
        self.problem: str | None = None
        self._wires = wires

    @property
    def address(self) -> str | None:
        """Return our name, while we run."""
        return f"memory:{self.node}" if self.running else None

    def startService(self) -> None:
        """Listen, and tell of the links a moment later."""
        super().startService()
        self._wires.listening[self.node] = self
        for peer in self.peers:
            self._wires.clock.callLater(DELAY, self.link_opened, peer)

    def stopService(self) -> None:
        """Listen no longer."""
        super().stopService()
        if self._wires.listening.get(self.node) is self:
            del self._wires.listening[self.node]

    def set_peers(self, records: Collection[Peer]) -> None:
        """Know where they are."""
        found = {record.id: address_of(record, self.scheme) for record in records}
        new = found.keys() - self.peers.keys()
        self.peers = {peer: address for peer, address in found.items() if address is not None}
        for peer in new & self.peers.keys() if self.running else ():
            self._wires.clock.callLater(DELAY, self.link_opened, peer)

    def send(self, to: NodeId, frame: bytes, slot: str | None = None) -> None:
        """Send what can be sent."""
        address = self.peers.get(to)
        if address is not None and self.running:
            self._wires.carry(self.node, address, frame)

    def status(self) -> CarrierStatus:
        """Return how it does."""
        up = [peer for peer, address in self.peers.items() if address in self._wires.listening]
        return CarrierStatus(
            name=self.scheme,
            listening=self.address,
            links_up=len(up),
            links_down=len(self.peers) - len(up),
            frames_dropped=0,
            problem=self.problem,
        )


class ClusterNode(Node):
    """A node with others. ``skew``: seconds by which its wall clock is ahead."""

    def __init__(self, name: str, cluster: "Cluster", priority: int) -> None:
        self.cluster = cluster
        self.carrier: MemoryCarrier
        super().__init__(name, cluster.clock)
        self.held = cluster.held
        seeds = tuple(Seed(f"@{other}", (f"memory:{other}",)) for other in cluster.names if other != name)
        self.settings = replace(self.settings, priority=priority, seeds=seeds)
        self.make()

    def conversation(self) -> Conversation:
        """Speak over the cluster's wires."""
        self.carrier = MemoryCarrier(self.name, self.cluster.wires)
        with Secret.copy_of(b"the token of this cluster, really") as token:
            ring = KeyRing(TokenKeys(token))
        return Conversation(self.carrier, ring, self.node_key, self.settings, self.now, lambda size: self.draw(size))

    def draw(self, size: int) -> bytes:
        """Return bytes that nobody had before."""
        self.cluster.drawn += 1
        return self.cluster.drawn.to_bytes(size)

    @property
    def status(self) -> ClusterStatus:
        """How it sees the cluster."""
        found = self.coordination.status()
        assert found is not None
        return found

    @property
    def publishes(self) -> bool:
        """Whether it takes itself for the publisher."""
        return self.publisher._leading

    def kill(self) -> None:
        """Let the process be gone, without a word, and its Tor with it."""
        self.carrier.stopService()
        self.coordination._core = None
        self.coordination._alarm.clear()
        self.publisher.stopService()
        self.pair.stopService()


class Cluster:
    """Nodes named in the order of their priority, none of them started."""

    def __init__(self, *names: str) -> None:
        self.clock = Clock()
        self.wires = Wires(self.clock)
        self.names = names
        self.held: dict[tuple[str, bytes], bytes] = {}
        self.drawn = 0
        self._read: dict[bytes, frozenset[int]] = {}
        self.nodes = {name: ClusterNode(name, self, 100 + place) for place, name in enumerate(names)}

    def __getitem__(self, name: str) -> ClusterNode:
        return self.nodes[name]

    def start(self) -> None:
        """Start all; each Tor has three introduction points of its own."""
        for place, node in enumerate(self.nodes.values()):
            node.have_points(*self.numbers(place))
            node.start()

    def numbers(self, place: int) -> tuple[int, int, int]:
        """Return the numbers of the introduction points of the node at this place."""
        return (10 * place + 1, 10 * place + 2, 10 * place + 3)

    def points(self, *places: int) -> set[int]:
        """Return the numbers of the points of these nodes together."""
        return {number for place in places for number in self.numbers(place)}

    def later(self, seconds: float, step: float = 0.1) -> None:
        """Let time pass for everybody."""
        for _ in range(round(seconds / step)):
            self.clock.advance(step)
            for node in self.nodes.values():
                node.settle(ROUNDS)

    def cut(self, *group: str) -> None:
        """Separate this group from the others."""
        others = [name for name in self.names if name not in group]
        self.wires.cut |= {pair for one in group for other in others for pair in ((one, other), (other, one))}

    def heal(self) -> None:
        """Let everything pass again."""
        self.wires.cut.clear()

    def publishers(self) -> list[str]:
        """Return who takes itself for the publisher."""
        return [name for name, node in self.nodes.items() if node.publishes]

    def published(self) -> set[frozenset[int]]:
        """Return the sets of points that the directories hold, over both descriptors."""
        node = next(iter(self.nodes.values()))
        places = [(relay, seat) for seat in node.plan for relay in seat.directories]
        texts = {self.held.get((relay, seat.blinded_public), b""): (relay, seat) for relay, seat in places}
        for text, (relay, seat) in texts.items():
            if text not in self._read:
                self._read[text] = frozenset(node.points(relay, seat)) if text else frozenset()
        return {self._read[text] for text in texts}

    def revisions(self) -> list[int]:
        """Return the counters at all directories."""
        node = next(iter(self.nodes.values()))
        return [node.revision(relay, seat) for seat in node.plan for relay in seat.directories]


class ClusterTestCase(SynchronousTestCase):
    """A test with three nodes that serve one address."""

    names: tuple[str, ...] = ("alpha", "beta", "gamma")

    def setUp(self) -> None:
        self.cluster = Cluster(*self.names)
        for node in self.cluster.nodes.values():
            self.addCleanup(shutil.rmtree, node.directory)

    def serve(self) -> None:
        """Start all three and let them find each other and publish."""
        self.cluster.start()
        self.cluster.later(15, 0.25)
        self.assertEqual(self.cluster.published(), {frozenset(self.cluster.points(0, 1, 2))})

    def until(self, what: str, seconds: float, step: float = 0.1) -> float:
        """Let time pass until the directories hold the points of the places in C{what}; return how long it took."""
        wanted = {frozenset(self.cluster.points(*map(int, what)))}
        passed = 0.0
        while self.cluster.published() != wanted:
            self.assertLess(passed, seconds, f"the directories hold {self.cluster.published()}")
            self.cluster.later(step, step)
            passed += step
        return passed

    def records(self) -> list[NodeRecord]:
        """Return everybody's own record."""
        found = [node.coordination.record for node in self.cluster.nodes.values()]
        return [record for record in found if record is not None]
