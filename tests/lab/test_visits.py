"""The figures of visits."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.lab.visits import Visit, VisitLog, percentile

GOOD = Visit(True, 0.5, 200)
BAD = Visit(False, 30.0, error="nothing within 30 s")


class VisitLogTests(SynchronousTestCase):
    """Percentages and gaps."""

    def test_percent(self) -> None:
        """Three of four."""
        log = VisitLog(0.0)
        for ended, visit in ((1, GOOD), (2, BAD), (3, GOOD), (4, GOOD)):
            log.record(ended, visit)
        self.assertEqual((log.visits, log.succeeded, log.percent_ok), (4, 3, 75.0))
        self.assertEqual(log.errors, ("nothing within 30 s",))

    def test_error_without_words_names_the_status(self) -> None:
        """A page with status 503 has failed for that reason."""
        log = VisitLog(0.0)
        log.record(1, Visit(False, 0.1, 503))
        self.assertEqual(log.errors, ("status 503",))

    def test_nothing_is_not_success(self) -> None:
        """Without a visit nothing is claimed."""
        log = VisitLog(0.0)
        self.assertEqual((log.percent_ok, log.percentile(0.5)), (0.0, 0.0))

    def test_gap_between_successes(self) -> None:
        """Failures in between do not end a gap."""
        log = VisitLog(0.0)
        for ended, visit in ((1, GOOD), (5, BAD), (9, GOOD), (10, GOOD)):
            log.record(ended, visit)
        self.assertEqual(log.longest_gap(10), 8)

    def test_gap_at_both_ends(self) -> None:
        """The time before the first and after the last success counts too."""
        log = VisitLog(100.0)
        log.record(107, GOOD)
        self.assertEqual(log.longest_gap(107), 7)
        self.assertEqual(log.longest_gap(120), 13)
        self.assertEqual(VisitLog(0.0).longest_gap(42), 42)


class PercentileTests(SynchronousTestCase):
    """Nearest rank."""

    def test_known(self) -> None:
        """The usual ones of ten numbers."""
        values = [float(n) for n in range(10, 0, -1)]
        self.assertEqual([percentile(values, share) for share in (0.0, 0.5, 0.95, 1.0)], [1.0, 5.0, 10.0, 10.0])

    @settings(deadline=None)
    @given(st.lists(st.floats(0, 100), min_size=1), st.floats(0, 1))
    def test_enough_lie_below(self, values: list[float], share: float) -> None:
        """The result is one of the values, and at least that share is not above it."""
        found = percentile(values, share)
        self.assertIn(found, values)
        self.assertGreaterEqual(sum(value <= found for value in values), share * len(values) - 1e-9)
