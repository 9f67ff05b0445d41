"""Tests for L{rustbalance.cluster.election}."""

import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.election import (
    LAST_ROUND,
    MOST_TURNS,
    ROUND,
    SET_BACK,
    SPARE,
    Claim,
    Lease,
    is_possible,
    latest_round,
    next_term,
    priority_in,
    term_round,
    turn,
)

NAMES = st.text("abc-0123456789", min_size=1, max_size=8)


class TermTests(SynchronousTestCase):
    """Terms only grow, and each belongs to one node."""

    @settings(deadline=None)
    @given(st.integers(0, 4), st.integers(0, 65535), NAMES, st.integers(0, 65535), NAMES)
    def test_beyond_all_seen(self, rounds: int, seen_by: int, one: str, priority: int, other: str) -> None:
        """A claim goes beyond any term that was seen, whoever made that, and begins the next round."""
        seen = 0
        for _ in range(rounds):
            seen = next_term(seen, seen_by, one)
        term = next_term(seen, priority, other)
        self.assertGreater(term, seen)
        self.assertEqual(term_round(term), term_round(seen) + 1)
        self.assertEqual(priority_in(term), priority)

    def test_nobody_claims_the_same(self) -> None:
        """A hundred nodes that have seen the same term make a hundred terms of it."""
        terms = {next_term(7, 100, f"node-{number}") for number in range(100)}
        self.assertEqual(len(terms), 100)

    def test_layout(self) -> None:
        """27 bits of round, 16 of priority, the first 20 of the name's SHA-256, as docs/protocol.md has it."""
        term = next_term(6 << 36, 100, "node-7")
        name = int(hashlib.sha256(b"node-7").hexdigest()[:5], 16)
        self.assertEqual((term >> 36, term >> 20 & 0xFFFF, term & 0xFFFFF), (7, 65535 - 100, name))

    def test_low_priority_leads_within_a_round(self) -> None:
        """Of two that claim at once, the one with the lower number has the higher term."""
        self.assertGreater(next_term(0, 1, "b"), next_term(0, 2, "a"))

    def test_the_last_round(self) -> None:
        """When rounds run out, terms stay within what the wire can carry."""
        last = next_term((LAST_ROUND << 36) + 5, 0, "a")
        self.assertEqual(term_round(last), LAST_ROUND)
        self.assertLess(last, 2**63)


class RoundTests(SynchronousTestCase):
    """Rounds have their time."""

    @settings(deadline=None)
    @given(st.floats(1.78e9, 2.8e9), st.floats(0, 1e6))
    def test_one_every_eight_seconds(self, wall: float, later: float) -> None:
        """However far others have gone, after eight seconds there is a round beyond it."""
        self.assertEqual(latest_round(wall + ROUND), latest_round(wall) + 1)
        self.assertLessEqual(abs(latest_round(wall + later) - latest_round(wall) - later / ROUND), 1)

    @settings(deadline=None)
    @given(st.floats(1.78e9, 2.8e9), st.floats(0, SPARE), NAMES)
    def test_clocks_that_differ(self, wall: float, ahead: float, name: str) -> None:
        """What somebody claims in time by a clock that is a little ahead of ours is possible here."""
        term = next_term(latest_round(wall + ahead) - 1 << 36, 0, name)
        self.assertTrue(is_possible(term, wall))
        self.assertFalse(is_possible(next_term(term, 0, name), wall, 0.0))

    def test_without_a_clock(self) -> None:
        """A machine that thinks that it is 1970 can claim a million rounds, which no cluster uses up by failing."""
        self.assertEqual(latest_round(0.0), 2**20)
        self.assertGreater(latest_round(1.8e9), 2**20)

    def test_no_time_is_beyond_the_wire(self) -> None:
        """Rounds end with what a term can hold, in this century."""
        self.assertEqual(latest_round(1e11), LAST_ROUND)
        self.assertLess(latest_round(2_839_968_000.0), LAST_ROUND)
        self.assertFalse(is_possible(2**63 - 1, 1.8e9))


class ClaimTests(SynchronousTestCase):
    """The order (term, priority, node id)."""

    def test_order(self) -> None:
        """A higher term wins, then a lower priority, then the first name; any claim beats none."""
        ranked = [Claim(6, 9, "z"), Claim(5, 1, "z"), Claim(5, 2, "a"), Claim(5, 2, "b")]
        for place, claim in enumerate(ranked):
            self.assertTrue(claim.outranks(None))
            self.assertEqual([claim.outranks(other) for other in ranked], [place < index for index in range(4)])


class LeaseTests(SynchronousTestCase):
    """Who may publish, and until when."""

    def test_stronger_claim_takes_over(self) -> None:
        """The lease is that of the strongest claim; a weaker one changes nothing."""
        lease = Lease()
        self.assertTrue(lease.take(Claim(5, 100, "a"), 10.0))
        self.assertFalse(lease.take(Claim(4, 1, "b"), 99.0))
        self.assertEqual(lease.publisher(9.0), "a")
        self.assertTrue(lease.take(Claim(6, 100, "b"), 20.0))
        self.assertEqual((lease.publisher(15.0), lease.last), ("b", "b"))

    def test_lapses_unless_renewed(self) -> None:
        """The lease ends when its time is over; repeating the claim extends it and never shortens it."""
        lease = Lease()
        lease.take(Claim(5, 100, "a"), 10.0)
        lease.take(Claim(5, 100, "a"), 12.0)
        lease.take(Claim(5, 100, "a"), 11.0)
        self.assertEqual([lease.publisher(at) for at in (11.9, 12.0)], ["a", None])

    def test_release(self) -> None:
        """Only the holder ends its lease, and late news of the claim does not bring it back."""
        lease = Lease()
        lease.take(Claim(5, 100, "a"), 10.0)
        self.assertFalse(lease.release("b", 9))
        self.assertFalse(lease.release("a", 4))
        self.assertTrue(lease.release("a", 5))
        self.assertFalse(lease.take(Claim(5, 100, "a"), 10.0))
        self.assertIsNone(lease.publisher(1.0))
        self.assertEqual(lease.term, 9)

    def test_doubt(self) -> None:
        """What can be stays; of what cannot be the claim goes, and the term as far as it must."""
        wall, lease = 1.8e9, Lease()
        lease.take(Claim(latest_round(wall) << 36, 100, "a"), 10.0)
        lease.doubt(wall)
        self.assertEqual((lease.publisher(1.0), lease.term), ("a", latest_round(wall) << 36))
        lease.doubt(wall - SET_BACK)
        self.assertEqual((lease.publisher(1.0), lease.term), ("a", latest_round(wall) << 36))
        lease.note(2**63 - 1)
        lease.doubt(wall)
        self.assertEqual((lease.publisher(1.0), term_round(lease.term)), ("a", latest_round(wall + SPARE)))
        lease.take(Claim(2**63 - 1, 100, "b"), 10.0)
        lease.doubt(wall)
        self.assertEqual((lease.publisher(1.0), term_round(lease.term)), (None, latest_round(wall + SPARE)))

    @given(st.lists(st.integers(0, 50)))
    def test_term_never_goes_back(self, terms: list[int]) -> None:
        """Whatever is heard in whatever order, the highest term stays known."""
        lease, highest = Lease(), 0
        for number, term in enumerate(terms):
            if number % 3 == 0:
                lease.note(term)
            elif number % 3 == 1:
                lease.take(Claim(term, 1, "a"), 1.0)
            else:
                lease.release("a", term)
            highest = max(highest, term)
            self.assertEqual(lease.term, highest)


class TurnTests(SynchronousTestCase):
    """Whose turn it is to claim."""

    def test_first_does_not_wait(self) -> None:
        """The best candidate claims at once, the others one after another, with jitter."""
        others = [(100, "a"), (50, "b"), (100, "d")]
        self.assertEqual(turn("e", 10, others, 1.0, 0.5), 0.0)
        self.assertEqual(turn("c", 100, others, 1.0, 0.5), 2.5)

    def test_nobody_waits_for_all(self) -> None:
        """In a large cluster the wait is bounded."""
        others = [(1, f"node-{number}") for number in range(99)]
        self.assertEqual(turn("z", 2, others, 1.0, 0.5), MOST_TURNS + 0.5)
