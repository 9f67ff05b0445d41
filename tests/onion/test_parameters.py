"""Tests for L{rustbalance.onion.parameters}."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.onion.parameters import (
    HSDIR_INTERVAL,
    HSDIR_N_REPLICAS,
    HSDIR_SPREAD_STORE,
    MAX_DESCRIPTOR_SIZE,
)


class ParameterTests(SynchronousTestCase):
    """The consensus decides, within limits."""

    def test_default(self) -> None:
        """What the consensus does not mention has the value that the specification gives."""
        found = [each.of({}) for each in (HSDIR_INTERVAL, HSDIR_N_REPLICAS, HSDIR_SPREAD_STORE, MAX_DESCRIPTOR_SIZE)]
        self.assertEqual(found, [1440, 2, 4, 50_000])

    def test_value(self) -> None:
        """A value in the allowed range is taken as it is."""
        self.assertEqual(HSDIR_SPREAD_STORE.of({"hsdir_spread_store": 6, "hsdir_n_replicas": 3}), 6)

    def test_clamped(self) -> None:
        """A value outside the range counts as the nearest inside, as in C tor."""
        for parameter, low, high in (
            (HSDIR_INTERVAL, 5, 14_400),
            (HSDIR_N_REPLICAS, 1, 16),
            (HSDIR_SPREAD_STORE, 1, 128),
            (MAX_DESCRIPTOR_SIZE, 1, 2**31 - 1),
        ):
            self.assertEqual(parameter.of({parameter.name: -5}), low)
            self.assertEqual(parameter.of({parameter.name: 2**40}), high)
