"""Tests for L{rustbalance.tor.backoff}."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.tor.backoff import exponential


class ExponentialTests(SynchronousTestCase):
    """L{exponential} waits longer and longer, up to a limit."""

    def test_doubles_to_the_longest(self) -> None:
        """Without luck the waits double and stay at the longest."""
        delay = exponential(1.0, 60.0, lambda: 0.0)
        self.assertEqual([delay(n) for n in (1, 2, 3, 6, 7, 8, 10**9)], [1.0, 2.0, 4.0, 32.0, 60.0, 60.0, 60.0])

    def test_jitter(self) -> None:
        """Chance takes up to half of the wait away and never adds to it."""

        @settings(deadline=None)
        @given(st.integers(1, 100), st.floats(0, 1))
        def check(failures: int, chance: float) -> None:
            longest = exponential(1.0, 60.0, lambda: 0.0)(failures)
            self.assertTrue(longest / 2 <= exponential(1.0, 60.0, lambda: chance)(failures) <= longest)

        check()
