"""Tests for L{rustbalance.cluster.gossip}."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.gossip import PeerTable, Rounds, audience
from rustbalance.cluster.messages import NodeRecord
from tests.cluster.group import record


class PeerTableTests(SynchronousTestCase):
    """One record for each node, the newest that is genuine."""

    def setUp(self) -> None:
        """Trust every record but those of a node named forged."""
        self.table = PeerTable("me", lambda record: record.id != "forged")

    def test_only_what_is_new(self) -> None:
        """Records that are known, older, forged or our own are passed over; the rest is returned."""
        self.assertEqual(self.table.merge([record("a", 2), record("me", 9), record("forged")]), (record("a", 2),))
        self.assertEqual(self.table.merge([record("a", 2), record("a", 1), record("b", 1)]), (record("b", 1),))
        self.assertEqual(self.table.merge([record("a", 3)]), (record("a", 3),))
        self.assertEqual(set(self.table), {record("a", 3), record("b", 1)})

    def test_name_belongs_to_a_key(self) -> None:
        """Nobody takes the name of another node, however new its record."""
        self.table.merge([record("a", 1)])
        thief = NodeRecord("a", b"x" * 32, 99, 1, ())
        self.assertEqual(self.table.merge([thief]), ())
        self.assertIn(record("a", 1), set(self.table))

    def test_digest(self) -> None:
        """Two nodes that know the same have the same digest, each with its own record among them."""
        other = PeerTable("a", lambda record: True)
        self.table.merge([record("b", 1), record("a", 2)])
        other.merge([record("me", 4), record("b", 1)])
        self.assertEqual(self.table.digest(record("me", 4)), other.digest(record("a", 2)))
        other.merge([record("b", 2)])
        self.assertNotEqual(self.table.digest(record("me", 4)), other.digest(record("a", 2)))

    def test_digest_of_our_own_change(self) -> None:
        """Our own record counts too."""
        before = self.table.digest(record("me", 1))
        self.table.renew()
        self.assertNotEqual(self.table.digest(record("me", 2)), before)


class RoundsTests(SynchronousTestCase):
    """Everybody in turn."""

    @given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 99))
    def test_nobody_waits_longer_than_a_round(self, size: int, count: int, seed: int) -> None:
        """Of an unchanging set each comes again before two rounds are over, and none twice in one answer."""
        rounds, candidates = Rounds(Random(seed).random), dict.fromkeys(map(str, range(size)))
        longest = 2 * -(-size // count)
        last = dict.fromkeys(candidates, -1)
        for turn in range(6 * longest):
            chosen = rounds.next(candidates, count)
            self.assertEqual(len(set(chosen)), min(size, count))
            for node in chosen:
                self.assertLessEqual(turn - last[node], longest)
                last[node] = turn

    def test_changes(self) -> None:
        """Who is gone is not chosen, who is new is."""
        rounds = Rounds(Random(1).random)
        rounds.next(dict.fromkeys("abcd"), 1)
        self.assertEqual(sorted(rounds.next(dict.fromkeys("xy"), 5)), ["x", "y"])
        self.assertEqual(rounds.next({}, 5), [])


class AudienceTests(SynchronousTestCase):
    """To how many a heartbeat goes."""

    def test_half_of_many(self) -> None:
        """All of a few, at least half of many: nobody is without direct news for two beats."""
        self.assertEqual([audience(peers, 24) for peers in (0, 6, 24, 25, 50, 99)], [0, 6, 24, 24, 25, 50])
