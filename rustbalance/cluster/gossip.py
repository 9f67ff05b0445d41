"""
How news gets around.

Owns: the table of node records, who was forgotten, and who is told what with each heartbeat. In: records, and random
numbers; out: what was new, recipients, the states to tell of. Pure.

In a small cluster every heartbeat goes to everybody and tells of everybody. In a large one it goes to half of the nodes
in turn and tells of a few: the cost for each node grows slowly, and nobody is without direct news for two beats.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

from rustbalance.cluster.messages import MOST_NODES, Forgotten, NodeId, NodeRecord

T = TypeVar("T")
MOST_FORGOTTEN = 256
"""Forgotten nodes that are remembered, the last ones."""


class PeerTable:
    """
    The records of all nodes but ``me``. ``trusted`` says whether a record is signed by the node that it is about.

    A name belongs to the key that it was first seen with, and a join bundle to the lowest of the keys that came with
    it: two members may have let somebody in with the same one before they heard of each other.
    """

    def __init__(self, me: NodeRecord, trusted: Callable[[NodeRecord], bool]) -> None:
        self._me = me
        self._trusted = trusted
        self._records: dict[NodeId, NodeRecord] = {}
        self._former: dict[bytes, Forgotten] = {}
        self._digest: bytes | None = None
        self.generation = 0

    def __iter__(self) -> Iterator[NodeRecord]:
        return iter(self._records.values())

    def __len__(self) -> int:
        return len(self._records)

    def __contains__(self, node: NodeId) -> bool:
        return node in self._records

    def get(self, node: NodeId) -> NodeRecord | None:
        """Return the record of the node with that name, None when it is not known."""
        return self._records.get(node)

    def merge(self, records: Iterable[NodeRecord]) -> tuple[NodeRecord, ...]:
        """Take what is new or newer, genuine and wanted; return just that."""
        return tuple(record for record in records if self._is_new(record) and self._take(record))

    def introduce(self, record: NodeRecord) -> bool:
        """
        Take the record of a node that has come itself though it is not wanted: it has to be told; return whether it is
        new. It is ``remove``d when it falls silent.
        """
        known = record.id in self._records or record.id == self._me.id
        return not known and self.is_unwanted(record) and self._keep(record)

    def remove(self, node: NodeId) -> None:
        """It is no member any more."""
        if self._records.pop(node, None) is not None:
            self._changed()

    def forget(self, forgotten: Iterable[Forgotten]) -> tuple[Forgotten, ...]:
        """Take what is new of those who are members no more; return just that. Their records are still here."""
        fresh = [each for each in forgotten if self._bury(each)]
        kept = sorted(self._former.values(), key=lambda each: (each.at, each.record.public_key))[-MOST_FORGOTTEN:]
        self._former = {each.record.public_key: each for each in kept}
        return tuple(each for each in fresh if each.record.public_key in self._former)

    def former(self) -> tuple[Forgotten, ...]:
        """Return those who are members no more."""
        return tuple(self._former.values())

    def is_unwanted(self, record: NodeRecord) -> bool:
        """Tell whether a node in this incarnation is no member: it was forgotten, or its bundle is another's."""
        return self.verdict(record) is not None or self.rival(record) is not None

    def verdict(self, record: NodeRecord) -> Forgotten | None:
        """Return that a node in this incarnation was forgotten, None when it was not."""
        former = self._former.get(record.public_key)
        return former if former is not None and former.record.incarnation >= record.incarnation else None

    def rival(self, record: NodeRecord) -> NodeRecord | None:
        """Return the node that came with the same join bundle and has more right to it."""
        if not record.bundle:
            return None
        stronger = (each for each in (self._me, *self) if each.public_key < record.public_key)
        return next((each for each in stronger if each.bundle == record.bundle), None)

    def digest(self, own: NodeRecord) -> bytes:
        """Return eight bytes that are the same for two nodes that know the same records, each with its own."""
        if self._digest is None:
            known = sorted((*self._records.values(), own), key=lambda record: record.id)
            lines = "".join(f"{record.id} {record.incarnation}\n" for record in known)
            former = sorted((key.hex(), each.record.incarnation) for key, each in self._former.items())
            lines += "".join(f"- {key} {incarnation}\n" for key, incarnation in former)
            self._digest = hashlib.sha256(lines.encode()).digest()[:8]
        return self._digest

    def renew(self) -> None:
        """Our own record has changed."""
        self._digest = None

    def _is_new(self, record: NodeRecord) -> bool:
        known = self._records.get(record.id)
        if known is None or record.id == self._me.id:
            return record.id != self._me.id
        if known.public_key != record.public_key:
            return bool(record.bundle) and record.bundle == known.bundle
        return known.incarnation < record.incarnation

    def _take(self, record: NodeRecord) -> bool:
        return not self.is_unwanted(record) and self._keep(record)

    def _keep(self, record: NodeRecord) -> bool:
        full = record.id not in self._records and len(self) >= MOST_NODES - 1
        if full or not self._trusted(record):
            return False
        former = self._former.get(record.public_key)
        if former is not None and former.record.incarnation < record.incarnation:
            del self._former[record.public_key]
        self._records[record.id] = record
        self._changed()
        return True

    def _bury(self, forgotten: Forgotten) -> bool:
        record = forgotten.record
        known, former = self._records.get(record.id), self._former.get(record.public_key)
        same = known is not None and known.public_key == record.public_key
        if record.public_key == self._me.public_key or not self._trusted(record):
            return False
        if (former is not None and former.record.incarnation >= record.incarnation) or (
            same and known is not None and known.incarnation > record.incarnation
        ):
            return False
        self._former[record.public_key] = forgotten
        self._changed()
        return True

    def _changed(self) -> None:
        self.generation += 1
        self._digest = None


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
