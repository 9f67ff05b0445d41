"""Tests for L{rustbalance.publishing.delivery}."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.publishing.delivery import NEVER, NO_ANSWER, REJECTED, Copy, Lane, State


class CopyTests(SynchronousTestCase):
    """L{Copy} goes from waiting to confirmed, or back."""

    def test_wanted_until_posted(self) -> None:
        """A copy has to be posted until it is under way, and again when it failed."""
        copy = Copy()
        wanted = [copy.wanted]
        copy.post()
        wanted.append(copy.wanted)
        copy.fail("UNEXPECTED", 5.0)
        wanted.append(copy.wanted)
        copy.confirm()
        wanted.append(copy.wanted)
        self.assertEqual(wanted, [True, False, True, False])

    def test_silence_is_another_state_than_refusal(self) -> None:
        """A directory that did not answer may hold the copy; one that refused does not."""
        silent, refusing = Copy(), Copy()
        silent.fail(NO_ANSWER, 5.0)
        refusing.fail(REJECTED, NEVER)
        self.assertEqual((silent.state, refusing.state), (State.EXPIRED, State.FAILED))
        self.assertEqual((silent.refused, refusing.refused), (False, True))

    def test_confirmation_forgets_the_trouble(self) -> None:
        """A copy that arrived has no reason and no failures any more."""
        copy = Copy()
        copy.fail("UNEXPECTED", 5.0)
        copy.confirm()
        self.assertEqual((copy.reason, copy.failures), (None, 0))


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
