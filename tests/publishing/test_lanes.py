"""Tests for L{rustbalance.publishing.lanes}."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.publishing.lanes import Lane, Lanes
from rustbalance.publishing.settings import PublishSettings
from tests.publishing.samples import A, B


class LaneTests(SynchronousTestCase):
    """L{Lane} keeps answers apart."""

    def test_nothing_else_before_the_deadline(self) -> None:
        """Until the deadline the directory is left alone, whatever is to go there."""
        lane = Lane(b"k", 7, 7, 60.0, 120.0)
        self.assertEqual((lane.free_at(b"k", 7), lane.free_at(b"k", 8), lane.free_at(b"o", 7)), (60.0, 60.0, 60.0))

    def test_only_the_same_publish_before_the_quiet_time_ends(self) -> None:
        """After the deadline a text of the same publish may go out at once, any other later."""
        lane = Lane(b"k", 7, 9, 60.0, 120.0, expired=True)
        self.assertEqual((lane.free_at(b"k", 7), lane.free_at(b"k", 8), lane.free_at(b"o", 7)), (0.0, 120.0, 120.0))


class LanesTests(SynchronousTestCase):
    """L{Lanes} knows what is still due."""

    def setUp(self) -> None:
        self.lanes = Lanes(PublishSettings(directory_deadline=20, directory_quiet=10, answer_grace=1))
        self.lanes.open(A, b"k", 7, 7, 100.0)

    def lane(self) -> Lane:
        """Return the one to A, which must be there."""
        lane = self.lanes.get(A)
        assert lane is not None
        return lane

    def expired(self, now: float) -> list[str]:
        """Return who runs out of time by then."""
        return [directory for directory, _ in self.lanes.expire(now)]

    def test_answered(self) -> None:
        """What is answered is owed no longer."""
        self.assertIsNotNone(self.lanes.close(A))
        self.assertEqual((self.lanes.close(A), self.lanes.get(A), self.lanes.due()), (None, None, []))

    def test_unanswered(self) -> None:
        """It runs out of time once, and is known for as long as an answer may come."""
        self.assertEqual(self.lanes.due(), [120.0])
        self.assertEqual([self.expired(119.0), self.expired(120.0), self.expired(129.0)], [[], [A], []])
        self.assertEqual(self.lanes.due(), [])
        self.assertTrue(self.lane().expired)
        self.assertEqual(self.expired(130.0), [])
        self.assertIsNone(self.lanes.get(A))

    def test_stream_ended(self) -> None:
        """With the end of its stream the answer is there in a moment, or never comes."""
        self.lanes.began(A, "5")
        self.lanes.ended(A, "5", 103.0)
        self.assertEqual(self.lanes.due(), [104.0])
        self.assertEqual(self.expired(104.0), [A])
        self.assertIsNone(self.lanes.get(A))

    def test_stream_ended_late(self) -> None:
        """That holds after the deadline as well: nothing has to be waited for any more."""
        self.lanes.began(A, "5")
        self.expired(120.0)
        self.lanes.ended(A, "5", 122.0)
        self.assertEqual((self.lane().quiet_until, self.expired(123.0)), (123.0, []))
        self.assertIsNone(self.lanes.get(A))

    def test_other_streams(self) -> None:
        """The first stream is the one; others to that directory, or to others, and their ends mean nothing."""
        self.lanes.began(A, "5")
        self.lanes.began(A, "6")
        self.lanes.began(B, "7")
        for directory, stream in ((A, "6"), (B, "5"), (B, "7")):
            self.lanes.ended(directory, stream, 103.0)
        self.assertEqual((self.lanes.due(), self.lane().stream), ([120.0], "5"))

    def test_stream_unknown(self) -> None:
        """Without a stream of its own nothing is concluded from the end of one."""
        self.lanes.ended(A, "5", 103.0)
        self.assertEqual(self.lanes.due(), [120.0])

    def test_the_next_text_has_another_stream(self) -> None:
        """The end of the stream before is not the end of this one."""
        self.lanes.began(A, "5")
        self.lanes.open(A, b"k", 7, 7, 121.0)
        self.lanes.began(A, "6")
        self.lanes.ended(A, "5", 122.0)
        self.assertEqual(self.lanes.due(), [141.0])

    def test_interrupted(self) -> None:
        """Tor may answer over another connection, unless it is gone."""
        self.lanes.interrupt(gone=False)
        self.assertEqual((self.lanes.due(), self.lane().free_at(b"k", 8)), ([], 130.0))
        self.lanes.interrupt(gone=True)
        self.assertIsNone(self.lanes.get(A))
