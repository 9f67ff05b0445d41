"""Tests for L{rustbalance.cluster.gossip}."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.gossip import MOST_FORGOTTEN, PeerTable, Rounds, audience
from rustbalance.cluster.messages import Forgotten, NodeRecord
from tests.cluster.group import record


class PeerTableTests(SynchronousTestCase):
    """One record for each node, the newest that is genuine."""

    def setUp(self) -> None:
        """Trust every record but those of a node named forged."""
        self.table = PeerTable(record("me"), lambda record: record.id != "forged")

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
        other = PeerTable(record("a"), lambda record: True)
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


class ForgottenTests(SynchronousTestCase):
    """Who is no member any more."""

    def setUp(self) -> None:
        """Know a and b, and forget a in its third incarnation."""
        self.table = PeerTable(record("me"), lambda record: record.id != "forged")
        self.table.merge([record("a", 3), record("b", 1)])
        self.table.forget([Forgotten(record("a", 3), 100)])

    def test_stays_until_removed(self) -> None:
        """Its record is here until it is taken out; from then on gossip does not bring it back."""
        self.assertIn("a", self.table)
        self.assertTrue(self.table.is_unwanted(record("a", 3)))
        self.table.remove("a")
        self.assertEqual(self.table.merge([record("a", 3), record("a", 2)]), ())
        self.assertEqual(set(self.table), {record("b", 1)})

    def test_later_incarnation(self) -> None:
        """A later incarnation is a member again, and nobody is forgotten any more; word of the earlier is too late."""
        self.table.remove("a")
        self.assertEqual(self.table.merge([record("a", 4)]), (record("a", 4),))
        self.assertEqual(self.table.former(), ())
        self.assertEqual(self.table.forget([Forgotten(record("a", 3), 100)]), ())
        self.assertFalse(self.table.is_unwanted(record("a", 4)))

    def test_name_is_free(self) -> None:
        """Another machine may have the name, from its first incarnation on."""
        self.table.remove("a")
        other = NodeRecord("a", b"x" * 32, 1, 100, ())
        self.assertEqual(self.table.merge([other]), (other,))
        self.assertEqual(self.table.merge([record("a", 4)]), ())

    def test_what_is_no_news(self) -> None:
        """What was known, what is about ourselves, and what nobody has signed is passed over."""
        for each in (record("a", 3), record("a", 2), record("me", 9), record("forged")):
            self.assertEqual(self.table.forget([Forgotten(each, 200)]), ())
        self.assertEqual(len(self.table.forget([Forgotten(record("a", 5), 200), Forgotten(record("z"), 1)])), 2)

    def test_digest(self) -> None:
        """Two nodes of which one has forgotten somebody have something to tell each other."""
        other = PeerTable(record("b", 1), lambda record: True)
        other.merge([record("me")])
        self.table.remove("a")
        self.assertNotEqual(self.table.digest(record("me")), other.digest(record("b", 1)))
        other.forget(self.table.former())
        self.assertEqual(self.table.digest(record("me")), other.digest(record("b", 1)))

    def test_bounded(self) -> None:
        """The last ones are remembered, the same ones by everybody."""
        many = [Forgotten(record(f"n{number}"), 1000 + number) for number in range(MOST_FORGOTTEN + 5)]
        one, other = PeerTable(record("me"), lambda record: True), PeerTable(record("you"), lambda record: True)
        one.forget(many)
        for each in reversed(many):
            other.forget([each])
        self.assertEqual(set(one.former()), set(other.former()))
        self.assertEqual(len(one.former()), MOST_FORGOTTEN)
        self.assertEqual(one.forget(many[:1]), ())

    def test_comes_itself(self) -> None:
        """Who comes itself is taken in, to be told; a member, a stranger and a forged record are not taken that way."""
        self.table.remove("a")
        self.assertTrue(self.table.introduce(record("a", 3)))
        self.assertIn("a", self.table)
        for each in (record("a", 3), record("stranger"), record("me"), record("forged")):
            self.assertFalse(self.table.introduce(each))


class BundleTests(SynchronousTestCase):
    """A join bundle belongs to one key."""

    def setUp(self) -> None:
        """Know d, which came with a bundle."""
        self.table = PeerTable(record("me", bundle=b"m" * 16), lambda record: True)
        self.table.merge([record("d", bundle=b"x" * 16), record("e"), record("f")])

    def test_higher_key(self) -> None:
        """Another key with the same bundle is passed over when it is higher; without a bundle nobody is."""
        self.assertEqual(self.table.merge([record("z", bundle=b"x" * 16)]), ())
        self.assertEqual(self.table.rival(record("z", bundle=b"x" * 16)), record("d", bundle=b"x" * 16))
        self.assertIsNone(self.table.rival(record("f")))

    def test_lower_key(self) -> None:
        """The lower key has it, whoever was heard of first: everybody comes to the same end."""
        self.assertEqual(len(self.table.merge([record("a", bundle=b"x" * 16)])), 1)
        self.assertTrue(self.table.is_unwanted(record("d", bundle=b"x" * 16)))

    def test_our_own(self) -> None:
        """Ours counts like any other."""
        self.assertEqual(self.table.merge([record("z", bundle=b"m" * 16)]), ())
        self.assertIsNone(self.table.rival(record("me", bundle=b"m" * 16)))
        self.table.merge([record("a", bundle=b"m" * 16)])
        self.assertEqual(self.table.rival(record("me", bundle=b"m" * 16)), record("a", bundle=b"m" * 16))

    def test_same_name(self) -> None:
        """Of two machines with one name and one bundle the lower key has both, however old its record."""
        lower = NodeRecord("d", b"a" * 32, 0, 100, (), bundle=b"x" * 16)
        higher = NodeRecord("d", b"z" * 32, 9, 100, (), bundle=b"x" * 16)
        self.assertEqual(self.table.merge([higher]), ())
        self.assertEqual(self.table.merge([lower]), (lower,))
        self.assertEqual(self.table.get("d"), lower)


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
