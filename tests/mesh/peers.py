"""Members as a carrier sees them, and nodes whose frames say in clear who sealed them."""

import os
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace

from twisted.internet import reactor  # noqa: TID251  (real sockets)

from rustbalance.life import pause
from rustbalance.mesh.carrier import NOBODY, Carrier, NodeId
from rustbalance.mesh.streams import Timings

#: As in production, only faster; ``tests/mesh/test_wire.py`` tests each deadline in simulated time.
FAST = Timings(dial=2.0, keepalive=0.3, doubt=0.4, silence=0.8, idle=1.5, stranger=1.0, lifetime=2.0)


def own_loopback() -> int:
    """Return the second byte of loopback addresses that no other process of this test run binds."""
    return os.getpid() % 250 + 1


@dataclass(frozen=True)
class Record:
    """What a carrier reads of a C{NodeRecord}."""

    id: str
    addresses: tuple[str, ...] = ()


class Node:
    """
    A node that takes the frames of ``members`` and refuses all others.

    ``heard``: what it took, as (sender, text). ``opened``: the links that came up.
    """

    def __init__(self, name: NodeId, carrier: Carrier, members: Collection[NodeId]) -> None:
        self.name = name
        self.carrier = carrier
        self.members = set(members)
        self.heard: list[tuple[NodeId, bytes]] = []
        self.refused: list[bytes] = []
        self.opened: list[NodeId] = []
        carrier.receiver = self.receive
        carrier.link_opened = self.link_opened

    def receive(self, frame: bytes) -> NodeId:
        """Take or refuse a frame."""
        sender, _, text = frame.partition(b":")
        if sender.decode("latin1") not in self.members:
            self.refused.append(frame)
            return NOBODY
        self.heard.append((sender.decode(), text))
        return sender.decode()

    def link_opened(self, peer: NodeId) -> None:
        """Greet."""
        self.opened.append(peer)
        self.say(peer, b"hello", "heartbeat")

    def say(self, to: NodeId, text: bytes, slot: str | None = None) -> None:
        """Send a frame."""
        self.carrier.send(to, self.name.encode() + b":" + text, slot)

    def has_heard(self, sender: NodeId, text: bytes) -> bool:
        """Say whether that frame has arrived."""
        return (sender, text) in self.heard

    def record(self) -> Record:
        """Return what the others know of it."""
        return Record(self.name, () if self.carrier.address is None else (self.carrier.address,))


def introduce(nodes: Iterable[Node]) -> None:
    """Tell each about all others."""
    everybody = list(nodes)
    for node in everybody:
        node.carrier.set_peers([other.record() for other in everybody if other is not node])


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> float:
    """Wait for something to become true; return how long it took."""
    started = reactor.seconds()
    while not condition():
        if reactor.seconds() - started > seconds:
            raise AssertionError(f"it has not happened within {seconds} s")
        await pause(reactor, 0.02)
    return float(reactor.seconds() - started)


def with_window(window: int) -> Timings:
    """Return fast timings with so many frames under way."""
    return replace(FAST, window=window)
