"""Tests for L{rustbalance.publishing.urgency}."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.publishing.settings import PublishSettings
from rustbalance.publishing.urgency import AGAIN, FAILED, NEVER, OVERDUE, Shortage, Urgency
from tests.publishing.samples import START, at

FIRST, SECOND, THIRD = b"1" * 32, b"2" * 32, b"3" * 32


class UrgencyTests(SynchronousTestCase):
    """L{Urgency} knows how old things are."""

    def setUp(self) -> None:
        self.urgency = Urgency(PublishSettings(max_age_secs=900.0))

    def attempt(self, second: float, *confirmed: bytes, failed: bytes | None = None) -> None:
        """Publish both, with what comes of it."""
        self.urgency.attempted((FIRST, SECOND), at(second))
        for key in confirmed:
            self.urgency.confirmed(key, at(second))
        if failed is not None:
            self.urgency.failed(failed)

    def due(self) -> float | None:
        """Return when, in seconds after the start."""
        due = self.urgency.due()
        return None if due is None else due - START.mono

    def test_nothing_attempted(self) -> None:
        """Before the first attempt nothing can be overdue."""
        self.assertIsNone(self.due())
        self.assertIsNone(self.urgency.reason(at(10_000)))
        self.assertEqual(self.urgency.age(at(10_000)), 0)

    def test_overdue(self) -> None:
        """A descriptor that was confirmed too long ago is overdue, whichever of the two it is."""
        self.attempt(0, FIRST, SECOND)
        self.attempt(600, SECOND)
        self.assertEqual(self.due(), 900)
        self.assertIsNone(self.urgency.reason(at(899)))
        self.assertEqual(self.urgency.reason(at(900)), OVERDUE)
        self.assertEqual(self.urgency.age(at(900)), 900)

    def test_overdue_again(self) -> None:
        """As long as nothing is confirmed it is done again every two minutes, and no more often."""
        self.attempt(0, FIRST, SECOND)
        self.attempt(900)
        self.assertEqual(self.due(), 900 + AGAIN)
        self.attempt(1_020, FIRST, SECOND)
        self.assertEqual(self.due(), 1_020 + 900)

    def test_refreshed_in_vain(self) -> None:
        """Attempts that come more often than every two minutes, none of them confirmed, do not put it off."""
        self.urgency = Urgency(PublishSettings(max_age_secs=100.0, refresh_interval_secs=60.0))
        self.attempt(0, FIRST, SECOND)
        self.attempt(60)
        self.assertEqual(self.due(), 120)
        self.assertEqual(self.urgency.reason(at(120)), OVERDUE)
        self.attempt(120)
        self.assertEqual(self.due(), 180)

    def test_failed(self) -> None:
        """A failed publish is done again past half of the age that visitors can do with; before there is time."""
        self.attempt(0, FIRST, SECOND)
        self.attempt(100, SECOND, failed=FIRST)
        self.assertEqual(self.due(), 450)
        self.assertEqual(self.urgency.reason(at(450)), FAILED)
        self.attempt(450, SECOND, failed=FIRST)
        self.assertEqual(self.due(), 450 + AGAIN)
        self.attempt(570)
        self.assertEqual(self.due(), 900)

    def test_failed_and_never_published(self) -> None:
        """As long as nobody has ever had it there is no time to lose."""
        self.attempt(0, SECOND, failed=FIRST)
        self.assertEqual(self.due(), NEVER)
        self.assertEqual(self.urgency.reason(at(NEVER)), FAILED)

    def test_never_confirmed(self) -> None:
        """What was never confirmed ages from its first attempt, however often it is tried."""
        for second in (0, 300, 600):
            self.attempt(second)
        self.assertEqual(self.due(), 900)

    def test_succeeded_after_all(self) -> None:
        """When the retries of single directories have made it a success, nothing is due any more."""
        self.attempt(0, SECOND, failed=FIRST)
        self.urgency.confirmed(FIRST, at(20))
        self.assertEqual(self.due(), 900)

    def test_rotation(self) -> None:
        """A new period's descriptor is as old as its first attempt, and the one that is over does not count."""
        self.attempt(0, FIRST, SECOND)
        self.attempt(600, SECOND)
        self.urgency.attempted((SECOND, THIRD), at(800))
        self.assertEqual(self.due(), 1_500)
        self.urgency.confirmed(SECOND, at(800))
        self.assertEqual(self.due(), 1_700)

    def test_another_node(self) -> None:
        """When another node publishes nothing is ours to repeat."""
        self.attempt(0, failed=FIRST)
        self.urgency.reset()
        self.assertIsNone(self.due())

    def test_never_a_storm(self) -> None:
        """Whatever comes of attempts that are made whenever they are due, they are half a minute apart at least."""

        @settings(deadline=None)
        @given(st.lists(st.sampled_from(["none", "first", "both", "fails", "both fail"]), max_size=30))
        def check(outcomes: list[str]) -> None:
            urgency, second = Urgency(PublishSettings(max_age_secs=60.0)), 0.0
            for outcome in outcomes:
                urgency.attempted((FIRST, SECOND), at(second))
                for key in {"first": (FIRST,), "both": (FIRST, SECOND)}.get(outcome, ()):
                    urgency.confirmed(key, at(second))
                for key in {"fails": (FIRST,), "both fail": (FIRST, SECOND)}.get(outcome, ()):
                    urgency.failed(key)
                due = (urgency.due() or 0.0) - START.mono
                self.assertGreaterEqual(due, second + NEVER)
                self.assertIsNone(urgency.reason(at(due - 0.001)))
                self.assertIsNotNone(urgency.reason(at(due)))
                second = due

        check()


class ShortageTests(SynchronousTestCase):
    """L{Shortage} tells of too few points once they have been too few for long."""

    def setUp(self) -> None:
        self.shortage = Shortage(PublishSettings(expected_points=3, shortage_secs=120.0))

    def test_lasting(self) -> None:
        """After two minutes it is said, once, with the count of by then; the status says it until it is over."""
        self.shortage.seen(1, at(0))
        self.shortage.seen(2, at(60))
        self.assertEqual(self.shortage.due(), at(120).mono)
        self.assertIsNone(self.shortage.news(at(119)))
        self.assertIsNone(self.shortage.sentence())
        said = self.shortage.news(at(120))
        self.assertEqual(said, "only 2 of 3 introduction points came up; the descriptors do with those")
        self.assertEqual((self.shortage.news(at(121)), self.shortage.sentence()), (None, said))
        self.shortage.seen(3, at(130))
        self.assertIsNone(self.shortage.sentence())

    def test_none(self) -> None:
        """No point at all is something else, and enough of them nothing."""
        for count in (0, 3, 9):
            self.shortage.seen(2, at(0))
            self.shortage.seen(count, at(1))
            self.assertIsNone(self.shortage.due())
