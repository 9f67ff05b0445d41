"""The day of a private network."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.lab.calendar import Segment, day_at, day_of
from rustbalance.onion.consensus import Consensus

INTERVAL = 20
RUN = 24 * INTERVAL


class DayTests(SynchronousTestCase):
    """Both halves of a day of 480 seconds."""

    def test_segments(self) -> None:
        """The first twelve intervals follow the shared random value, the others the new period."""
        start = 1000 * RUN
        segments = [day_at(start + n * INTERVAL, INTERVAL).segment for n in range(24)]
        self.assertEqual(segments, [Segment.SRV_TO_PERIOD] * 12 + [Segment.PERIOD_TO_SRV] * 12)

    def test_elapsed(self) -> None:
        """The time into the day starts anew with each."""
        start = 1000 * RUN
        self.assertEqual([day_at(start + s, INTERVAL).elapsed for s in (0, 460, 480)], [0, 460, 0])
        self.assertEqual(day_at(start, INTERVAL).length, RUN)

    def test_of_a_consensus(self) -> None:
        """The consensus, not the clock, says where in the day a network is."""
        start = 1000 * RUN + 300
        consensus = Consensus(start, start + 20, start + 60, {}, None, None, ())
        self.assertEqual(day_of(consensus), day_at(start, INTERVAL))
        self.assertEqual(str(day_of(consensus)), "segment TP to SRV, 300 of 480 s into the day")
