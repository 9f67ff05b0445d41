"""
Who publishes: the order of claims, and the lease that the strongest one holds.

Owns: which claim is the highest, until when its lease runs, whose turn it is when none does. In: claims and signs of
life with monotonic times; out: answers. Pure.

There is no quorum: two nodes that cannot hear each other may both publish, which does no harm for a while (their
revision counters are comparable). So that everybody agrees at once when they hear each other again, claims are ordered
by (term, priority, node id). Like a Paxos ballot number, a term is made so that no two nodes ever claim the same one:
its upper bits count the rounds, and its lower bits are the claimant's priority and name.

A round can begin only when its time has come, one every eight seconds. Nodes that fail and recover use up far fewer, so
they never notice; but whoever claims term after term, or the largest there is, uses up what is past and nothing that
is to come.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from rustbalance.cluster.messages import NodeId

_NAME_BITS = 20
_PRIORITY_BITS = 16
_TAIL_BITS = _PRIORITY_BITS + _NAME_BITS
_LARGEST_PRIORITY = (1 << _PRIORITY_BITS) - 1
LAST_ROUND = (1 << (63 - _TAIL_BITS)) - 1
"""It can begin in 2060."""
ROUND = 8.0
"""Seconds from the time of a round to that of the next."""
SPARE = 16.0
"""Seconds by which a round may be ahead of our clock: those of others are not quite the same."""
SET_BACK = 3600.0
"""Seconds by which our own clock may have been set back: so far ahead of it what we knew may still be true."""
_FIRST = 1_767_225_600
"""Unix time of round 0: the beginning of 2026."""
_FREE = 1 << 20
"""Rounds that can begin at any time: three months of one every eight seconds, for a node that has lost its clock."""
MOST_TURNS = 5
"""Candidates after the so manieth do not wait any longer than it."""


def next_term(seen: int, priority: int, node: NodeId) -> int:
    """Return the term that ``node`` claims when the highest one so far is ``seen``; in a round a low priority leads."""
    name = int.from_bytes(hashlib.sha256(node.encode()).digest()[:4]) >> 32 - _NAME_BITS
    tail = (_LARGEST_PRIORITY - min(priority, _LARGEST_PRIORITY)) << _NAME_BITS | name
    return min(term_round(seen) + 1, LAST_ROUND) << _TAIL_BITS | tail


def term_round(term: int) -> int:
    """Return which round of claims ``term`` belongs to: the number to show to people."""
    return term >> _TAIL_BITS


def latest_round(wall: float) -> int:
    """Return the last round that can have begun at the Unix time ``wall``."""
    return min(LAST_ROUND, max(_FREE, int((wall - _FIRST) // ROUND)))


def is_possible(term: int, wall: float, spare: float = SPARE) -> bool:
    """Tell whether a node whose clock is up to ``spare`` seconds ahead of ours, ``wall``, can have claimed a term."""
    return term_round(term) <= latest_round(wall + spare)


def priority_in(term: int) -> int:
    """Return the priority of whoever made ``term``."""
    return _LARGEST_PRIORITY - (term >> _NAME_BITS & _LARGEST_PRIORITY)


@dataclass(frozen=True)
class Claim:
    """The right of ``holder`` to publish in ``term``."""

    term: int
    priority: int
    holder: NodeId

    def outranks(self, other: "Claim | None") -> bool:
        """Tell whether this claim ends ``other``: a higher term, then a lower priority, then the first name."""
        return other is None or self._order() < other._order()

    def _order(self) -> tuple[int, int, NodeId]:
        return (-self.term, self.priority, self.holder)


@dataclass
class Lease:
    """
    The strongest claim that this node knows, and until when (monotonic seconds) it runs.

    ``term``: the highest ever heard of; it never goes back (but see ``doubt``), and a new claim goes beyond it.
    ``over``: the last term that was released, which nobody's late news can bring back. ``last``: who held the seat
    last.
    """

    term: int = 0
    claim: Claim | None = None
    expires: float = float("-inf")
    over: int = 0
    last: NodeId | None = None

    def note(self, term: int) -> None:
        """Somebody knows of this term."""
        self.term = max(self.term, term)

    def take(self, claim: Claim, expires: float) -> bool:
        """Somebody claims, or repeats the claim; return whether that outranks what was known."""
        self.note(claim.term)
        if claim.term == self.over:
            return False
        if self.claim is not None and (claim.term, claim.holder) == (self.claim.term, self.claim.holder):
            self.expires = max(self.expires, expires)
            return False
        stronger = claim.outranks(self.claim)
        if stronger:
            self.claim, self.expires, self.last = claim, expires, claim.holder
        return stronger

    def release(self, holder: NodeId, term: int) -> bool:
        """``holder`` publishes no longer, as of ``term``; return whether it was the one who did."""
        self.note(term)
        if self.claim is None or self.claim.holder != holder or self.claim.term > term:
            return False
        self.over, self.claim, self.expires = self.claim.term, None, float("-inf")
        return True

    def doubt(self, wall: float) -> None:
        """Forget what cannot be, since our clock or the disk was far wrong when we came to know it."""
        if is_possible(self.term, wall, SET_BACK):
            return
        self.term = (latest_round(wall + SPARE) + 1 << _TAIL_BITS) - 1
        if self.claim is not None and not is_possible(self.claim.term, wall, SET_BACK):
            self.claim, self.expires = None, float("-inf")

    def publisher(self, now: float) -> NodeId | None:
        """Return whose lease runs."""
        return self.claim.holder if self.claim is not None and now < self.expires else None


def turn(me: NodeId, priority: int, others: Iterable[tuple[int, NodeId]], step: float, jitter: float) -> float:
    """
    Return how many seconds this candidate leaves to those before it.

    ``others``: priority and name of the other candidates. The first one in the order does not wait at all.
    """
    rank = sum(other < (priority, me) for other in others)
    return 0.0 if rank == 0 else min(rank, MOST_TURNS) * step + jitter
