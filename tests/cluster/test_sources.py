"""Tests for L{rustbalance.cluster.sources}."""

from itertools import product

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.commands import Certainty
from rustbalance.cluster.sources import MOST_TORS, Sources, certainty, source_name
from tests.cluster.group import points


class SourcesTests(SynchronousTestCase):
    """A patience of 10 s, a lifetime of 3600 s."""

    def setUp(self) -> None:
        """Hold nothing."""
        self.sources = Sources(10.0, 3600.0)

    def test_newest_set_of_each_instance(self) -> None:
        """A later version replaces the one before; a node may have several Tors."""
        self.assertTrue(self.sources.put("a", 1, points("a", b"one", 5), 0.0))
        self.assertFalse(self.sources.put("a", 1, points("a", b"zero", 4), 0.0))
        self.assertFalse(self.sources.put("a", 1, points("a", b"again", 5), 0.0))
        self.assertTrue(self.sources.put("a", 1, points("a", b"two", 6, "standby"), 0.0))
        found = {name: each.inner for name, each in self.sources.of(["a", "b"], 1.0).items()}
        self.assertEqual(found, {"a/primary": b"one", "a/standby": b"two"})

    def test_a_node_has_few_tors(self) -> None:
        """A node that offers sets of ever more Tors fills nobody's memory; those that it has go on."""
        for number in range(100):
            self.sources.put("a", 1, points("a", b"x", 5 + number, f"tor-{number}"), 0.0)
        self.assertEqual(len(self.sources.of(["a"], 1.0)), MOST_TORS)
        self.assertTrue(self.sources.put("a", 1, points("a", b"y", 200, "tor-0"), 1.0))
        self.assertEqual(self.sources.of(["a"], 1.0)["a/tor-0"].inner, b"y")

    def test_withdrawn(self) -> None:
        """An empty set is none, and a node whose sets are all empty has nothing to publish."""
        self.sources.put("a", 1, points("a", b"one", 5), 0.0)
        self.assertTrue(self.sources.usable("a", 1, 1.0))
        self.sources.put("a", 1, points("a", b"", 6), 1.0)
        self.assertFalse(self.sources.usable("a", 1, 1.0))
        self.assertEqual(self.sources.of(["a"], 1.0), {})

    def test_lacking(self) -> None:
        """What is announced and not held is missed, for every Tor of a node, until it is there."""
        self.sources.put("a", 1, points("a", b"one", 5), 0.0)
        self.assertFalse(self.sources.announced("a", 1, 5, 0.0))
        self.assertTrue(self.sources.announced("a", 1, 11, 1.0))
        self.assertTrue(self.sources.lacks("a"))
        self.assertTrue(self.sources.waiting(["a"], 10.9))
        self.assertFalse(self.sources.waiting(["a"], 11.0))
        self.sources.put("a", 1, points("a", b"two", 6, "standby"), 2.0)
        self.assertFalse(self.sources.lacks("a"))

    def test_announced_first(self) -> None:
        """Points of a node may be announced before any have come."""
        self.assertTrue(self.sources.announced("a", 1, 5, 1.0))
        self.assertTrue(self.sources.lacks("a"))
        self.assertFalse(self.sources.usable("a", 1, 1.0))
        self.assertEqual(self.sources.due(1.0), 11.0)

    def test_counts_set_back(self) -> None:
        """A node that counts from further below than before is believed, when it says so itself."""
        self.sources.put("a", 1, points("a", b"before", 60), 0.0)
        self.assertFalse(self.sources.put("a", 1, points("a", b"after", 5), 1.0))
        self.assertTrue(self.sources.announced("a", 1, 5, 1.0))
        self.assertTrue(self.sources.put("a", 1, points("a", b"after", 5), 2.0))
        self.assertFalse(self.sources.lacks("a"))

    def test_nothing_announced(self) -> None:
        """A node that says it has no points has none."""
        self.sources.put("a", 1, points("a", b"one", 5), 0.0)
        self.assertTrue(self.sources.announced("a", 1, 0, 1.0))
        self.assertFalse(self.sources.usable("a", 1, 1.0))

    def test_earlier_incarnation(self) -> None:
        """Points of an earlier incarnation are not published unless the node says that they still hold."""
        self.sources.put("a", 1, points("a", b"one", 5), 0.0)
        self.assertFalse(self.sources.usable("a", 2, 1.0))
        self.assertTrue(self.sources.announced("a", 2, 5, 1.0))
        self.assertTrue(self.sources.usable("a", 2, 1.0))

    def test_new_incarnation_begins_anew(self) -> None:
        """A node that has started again offers other sets, and none of those before."""
        self.sources.put("a", 1, points("a", b"two", 6, "standby"), 0.0)
        self.assertTrue(self.sources.put("a", 2, points("a", b"one", 1), 1.0))
        self.assertEqual(list(self.sources.of(["a"], 1.0)), ["a/primary"])

    def test_lifetime(self) -> None:
        """What its node has not confirmed for an hour is not published; what it has is."""
        self.sources.put("a", 1, points("a", b"one", 5), 0.0)
        self.sources.put("b", 1, points("b", b"one", 5), 0.0)
        self.sources.announced("b", 1, 5, 1800.0)
        self.assertEqual(self.sources.due(1800.0), 3600.0)
        self.assertEqual(list(self.sources.of(["a", "b"], 3600.0)), ["b/primary"])

    def test_sleeper(self) -> None:
        """The time in which we were not running does not count as waiting."""
        self.sources.announced("a", 1, 5, 1.0)
        self.sources.excuse(60.0)
        self.assertTrue(self.sources.waiting(["a"], 70.0))

    def test_name(self) -> None:
        """Each Tor of each node is a source of its own."""
        self.assertEqual(source_name(points("a", instance="standby")), "a/standby")


class CertaintyTests(SynchronousTestCase):
    """Three answers to: may this replace what the directories hold?"""

    def test_every_case(self) -> None:
        """Unknown while there is nothing or we have not listened; uncertain when others may know more."""
        some, yes_or_no = {"a/primary": points("a")}, (False, True)
        for discovering, isolated, waiting in product(yes_or_no, yes_or_no, yes_or_no):
            expected = Certainty.UNCERTAIN if isolated or waiting else Certainty.CERTAIN
            given = {"discovering": discovering, "isolated": isolated, "waiting": waiting}
            self.assertIs(certainty(some, **given), Certainty.UNKNOWN if discovering else expected)
            self.assertIs(certainty({}, **given), Certainty.UNKNOWN)
