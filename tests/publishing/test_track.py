"""Tests for L{rustbalance.publishing.track}."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.onion.plan import Seat
from rustbalance.publishing.track import Track
from tests.publishing.samples import A, B, C, at

KEY = b"k" * 32


class TrackTests(SynchronousTestCase):
    """L{Track} judges whether a descriptor is published."""

    def setUp(self) -> None:
        self.track = Track.begin(Seat.FIRST, KEY, 7, (A, B, C), None)

    def answer(self, confirmed: str, failed: str = "") -> None:
        """Let these directories confirm or fail."""
        for directory, copy in self.track.responsible():
            if directory[0] in confirmed:
                copy.confirm()
            elif directory[0] in failed:
                copy.fail("UNEXPECTED", 0.0)

    def test_no_news_while_under_way(self) -> None:
        """As long as a directory owes an answer nothing is reported, though enough may have confirmed."""
        self.answer("AB")
        self.assertFalse(self.track.judge(2, at(1)))
        self.assertTrue(self.track.progress().published)

    def test_news_once(self) -> None:
        """The outcome is news once, and again when it turns."""
        self.answer("A", "BC")
        self.assertEqual([self.track.judge(2, at(1)), self.track.judge(2, at(2))], [True, False])
        self.answer("AB")
        self.assertEqual([self.track.judge(2, at(3)), self.track.judge(2, at(4))], [True, False])
        self.assertEqual(self.track.progress().published_at, at(3))

    def test_no_longer_published(self) -> None:
        """A publish that reached too few is reported as such although the one before it succeeded."""
        self.answer("ABC")
        self.track.judge(2, at(1))
        self.track = Track.begin(Seat.FIRST, KEY, 8, (A, B, C), self.track)
        self.assertTrue(self.track.progress().published)
        self.answer("A", "BC")
        self.assertTrue(self.track.judge(2, at(2)))
        self.assertFalse(self.track.progress().published)
        self.assertEqual(self.track.progress().published_at, at(1))

    def test_only_the_responsible_count(self) -> None:
        """A directory that is no longer responsible does not make a descriptor published."""
        self.answer("AB")
        self.track.redirect((C,))
        self.assertEqual((self.track.progress().confirmed, self.track.progress().directories), (0, 1))

    def test_reasons_once_each(self) -> None:
        """What went wrong is named once, whatever number of directories it happened to."""
        self.answer("A", "BC")
        self.assertEqual(self.track.progress().reasons, ("UNEXPECTED",))
