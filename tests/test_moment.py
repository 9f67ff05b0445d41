"""Tests for L{rustbalance.moment}."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.moment import Moment


class MomentTests(SynchronousTestCase):
    """L{Moment} keeps ages and dates apart."""

    def test_later_moves_both(self) -> None:
        """A later instant is later on both clocks, by the same seconds."""
        self.assertEqual(Moment(10.0, 1000.0).later(2.5), Moment(12.5, 1002.5))
