"""
How news gets around.

Owns: the table of node records, and who is told what with each heartbeat. In: records, and random numbers; out: what
was new, recipients, the states to tell of. Pure.

In a small cluster every heartbeat goes to everybody and tells of everybody. In a large one it goes to half of the nodes
in turn and tells of a few: the cost for each node grows slowly, and nobody is without direct news for two beats.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

from rustbalance.cluster.messages import MOST_NODES, NodeId, NodeRecord

T = TypeVar("T")


class PeerTable:
    """
    The records of all other nodes. ``trusted`` says whether a record is signed by the node that it is about.

    A name belongs to the key that it was first seen with.
    """

    def __init__(self, me: NodeId, trusted: Callable[[NodeRecord], bool]) -> None:
        self._me = me
        self._trusted = trusted
        self._records: dict[NodeId, NodeRecord] = {}
        self._digest: bytes | None = None
        self.generation = 0

    def __iter__(self) -> Iterator[NodeRecord]:
        return iter(self._records.values())

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, node: NodeId) -> bool:
        return node in self._records

    def merge(self, records: Iterable[NodeRecord]) -> tuple[NodeRecord, ...]:
        """Take what is new or newer and genuine; return just that."""
        return tuple(record for record in records if self._take(record))

    def digest(self, own: NodeRecord) -> bytes:
        """Return eight bytes that are the same for two nodes that know the same records, each with its own."""
        if self._digest is None:
            known = sorted((*self._records.values(), own), key=lambda record: record.id)
            lines = "".join(f"{record.id} {record.incarnation}\n" for record in known)
            self._digest = hashlib.sha256(lines.encode()).digest()[:8]
        return self._digest

    def renew(self) -> None:
        """Our own record has changed."""
        self._digest = None

    def _take(self, record: NodeRecord) -> bool:
        known = self._records.get(record.id)
        if record.id == self._me or (known is None and len(self) >= MOST_NODES - 1):
            return False
        if known is not None and (known.incarnation >= record.incarnation or known.public_key != record.public_key):
            return False
        if not self._trusted(record):
            return False
        self._records[record.id] = record
        self.generation += 1
        self._digest = None
        return True


class Rounds:
    """Takes so many of a changing set at a time, each once before any comes again, in an order that chance decides."""

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self._waiting: list[NodeId] = []

    def next(self, candidates: Mapping[NodeId, object], count: int) -> list[NodeId]:
        """Return the next ``count`` of the candidates, fewer when there are not so many."""
        taken: list[NodeId] = []
        for _ in range(2):
            while self._waiting and len(taken) < count:
                node = self._waiting.pop()
                if node in candidates and node not in taken:
                    taken.append(node)
            if len(taken) == min(count, len(candidates)):
                break
            self._waiting = self._shuffled(node for node in candidates if node not in taken)
        return taken

    def _shuffled(self, nodes: Iterable[NodeId]) -> list[NodeId]:
        keyed = sorted((self._random(), node) for node in nodes)
        return [node for _, node in keyed]


def audience(peers: int, fanout: int) -> int:
    """Return how many of so many peers get each heartbeat: all of a few, half of many."""
    return peers if peers <= fanout else max(fanout, (peers + 1) // 2)
