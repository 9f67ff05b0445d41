"""Members of a small cluster: they seal and open as C{rustbalance.cluster} does, and send heartbeats."""

import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

from rustbalance.cluster.frames import FrameOpener, FrameSealer, Refused
from rustbalance.cluster.keys import KeyRing, NodeKey, TokenKeys
from rustbalance.cluster.messages import Heartbeat, Message, NodeRecord, PeerAnnounce, State
from rustbalance.cluster.records import sign_record
from rustbalance.life import Periodic, now
from rustbalance.mesh.carrier import NOBODY, Carrier, NodeId
from rustbalance.secrets import Secret

#: Seconds between two heartbeats (``coordination.heartbeat_interval_secs``).
INTERVAL = 2.0


class Member:
    """
    One node: what it says over its carrier, and what it hears.

    ``beats`` counts heartbeats by sender, ``heard`` keeps all other messages.
    """

    def __init__(self, name: NodeId, ring: KeyRing, keys: dict[NodeId, NodeKey]) -> None:
        self.name = name
        self.beats: Counter[NodeId] = Counter()
        self.heard: list[tuple[NodeId, Message]] = []
        self.beat = 0
        self.others = [other for other in keys if other != name]
        self._key = keys[name]
        self._sealer = FrameSealer(ring, self._key, name, os.urandom(16), os.urandom)
        self.opener = FrameOpener(ring, lambda node: keys[node].public if node in keys else None)

    def on(self, carrier: Carrier) -> None:
        """Speak and hear through ``carrier``."""
        self.carrier = carrier
        carrier.receiver = self.receive
        carrier.link_opened = self.greet

    def beating(self, reactor: Any) -> Periodic:
        """Return what sends the heartbeats, not yet started."""
        return Periodic("heartbeats", INTERVAL, self._beat, reactor)

    def _beat(self) -> None:
        self.beat += 1
        for other in self.others:
            self.greet(other)

    def greet(self, peer: NodeId) -> None:
        """Send one heartbeat."""
        self.say(peer, Heartbeat(beat=self.beat, incarnation=1, priority=100, state=State.HEALTHY), "heartbeat")

    def say(self, to: NodeId, message: Message, slot: str | None = None) -> int:
        """Seal and send; return the size of the frame in bytes."""
        frame = self._sealer.seal(message, now())
        self.carrier.send(to, frame, slot)
        return len(frame)

    def receive(self, frame: bytes) -> NodeId:
        """Open a frame, or refuse it."""
        try:
            opened = self.opener.open(frame, now())
        except Refused:
            return NOBODY
        if isinstance(opened.message, Heartbeat):
            self.beats[opened.sender] += 1
        else:
            self.heard.append((opened.sender, opened.message))
        return opened.sender

    def record(self, *addresses: str) -> NodeRecord:
        """Return what others are told of it."""
        return sign_record(NodeRecord(self.name, bytes(32), 1, 100, addresses), self._key)


def members(names: Sequence[NodeId]) -> list[Member]:
    """Return members of a new cluster."""
    with Secret.random(32) as token:
        ring = KeyRing(TokenKeys(token))
    keys = {name: _node_key() for name in names}
    return [Member(name, ring, keys) for name in names]


def _node_key() -> NodeKey:
    with Secret.random(32) as seed:
        return NodeKey(seed)


def large_message(size: int) -> PeerAnnounce:
    """Return a message of a little more than ``size`` bytes, no two alike."""
    address = "tor:" + os.urandom(120).hex()
    records = (
        NodeRecord(f"node-{number}", os.urandom(32), number, 100, (address,) * 8) for number in range(size // 2000 + 1)
    )
    return PeerAnnounce(records=tuple(records))
