"""Tests for L{rustbalance.publishing.report}."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.onion.plan import Seat
from rustbalance.publishing.report import Points, descriptor_status, descriptors, outcome, shortfall
from rustbalance.publishing.track import Progress
from tests.publishing.samples import at, seat_plan


def progress(confirmed: int, published: bool, *reasons: str) -> Progress:
    """Return how far a descriptor with three directories is."""
    return Progress(Seat.FIRST, b"k" * 32, 7, 3, confirmed, published, at(5) if published else None, reasons)


class ReportTests(SynchronousTestCase):
    """What people read about a descriptor."""

    def test_status(self) -> None:
        """The status has the counts, the age of the last success and nothing to complain about."""
        status = descriptor_status(seat_plan(Seat.FIRST), progress(3, True), Points(4, 2), at(12))
        self.assertEqual((status.seat, status.period, status.introduction_points), ("first", 100, 4))
        self.assertEqual(status.left_out, 2)
        self.assertEqual((status.confirmed, status.directories, status.published), (3, 3, True))
        self.assertEqual((status.revision, status.age_secs, status.problem), (7, 7.0, None))

    def test_status_before_the_first_publish(self) -> None:
        """What has never been published has no revision and no age."""
        status = descriptor_status(seat_plan(Seat.SECOND), None, Points(0), at(12))
        self.assertEqual((status.revision, status.age_secs, status.published), (None, None, False))
        self.assertEqual((status.confirmed, status.directories, status.problem), (0, 3, None))

    def test_both(self) -> None:
        """There is a status for each plan, from what is known under its key."""
        seats = (seat_plan(Seat.FIRST), seat_plan(Seat.SECOND, 101))
        known = {seats[0].blinded_public: progress(3, True)}
        first, second = descriptors(seats, known.get, lambda blinded: Points(blinded[0]), at(12))
        self.assertEqual(first, descriptor_status(seats[0], progress(3, True), Points(100), at(12)))
        self.assertEqual(second, descriptor_status(seats[1], None, Points(101), at(12)))

    def test_shortfall(self) -> None:
        """What some directories did is named as long as not all have confirmed."""
        self.assertIsNone(shortfall(progress(3, True)))
        self.assertIsNone(shortfall(progress(1, False)))
        self.assertEqual(
            shortfall(progress(1, False, "UNEXPECTED", "no answer")),
            "2 of 3 directories did not confirm: UNEXPECTED, no answer",
        )

    def test_outcome(self) -> None:
        """The line of a publish says what came of it, why it was made, and what went wrong."""
        self.assertEqual(
            outcome(progress(2, True, "no answer"), Points(3), "refresh"),
            "Published the first descriptor (refresh) with 3 introduction points: "
            "confirmed by 2 of 3 directories (no answer)",
        )
        self.assertTrue(outcome(progress(0, False), Points(3), "refresh").startswith("Could not publish the first"))

    def test_left_out(self) -> None:
        """Points that are not in it are told of."""
        self.assertIn("with 7 introduction points (2 left out): ", outcome(progress(3, True), Points(7, 2), "refresh"))
