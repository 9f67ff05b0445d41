"""Tests for L{rustbalance.onion.shuffle}."""

from collections import Counter
from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.onion.shuffle import shuffled
from tests.onion.descriptors import random_bytes


class ShuffleTests(SynchronousTestCase):
    """An order drawn from handed-in randomness."""

    @settings(deadline=None)
    @given(st.lists(st.integers(), max_size=40), st.integers())
    def test_nothing_is_lost(self, values: list[int], seed: int) -> None:
        """The same values come out, and the same randomness gives the same order."""
        order = shuffled(values, random_bytes(seed))
        self.assertEqual(sorted(order), sorted(values))
        self.assertEqual(order, shuffled(values, random_bytes(seed)))

    def test_every_order_is_as_likely(self) -> None:
        """Over many draws each of the 24 orders of four values comes up about equally often."""
        source = random_bytes(1)
        found = Counter(tuple(shuffled("abcd", source)) for _ in range(24_000))
        self.assertEqual(set(found), set(permutations("abcd")))
        self.assertTrue(all(850 < count < 1_150 for count in found.values()), found)
