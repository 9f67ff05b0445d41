"""Tests for L{rustbalance.publishing.delivery}."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.publishing.delivery import BROKEN_OFF, NEVER, NO_ANSWER, REJECTED, Copy, State


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

    def test_broken_off(self) -> None:
        """One whose upload was broken off may have arrived as well; it can be posted again at once, and counts."""
        broken, again = Copy(), Copy()
        broken.fail(BROKEN_OFF, 5.0)
        again.post()
        again.repeat()
        self.assertEqual((broken.state, again.state), (State.EXPIRED, State.WAITING))
        self.assertEqual((again.not_before, again.failures, again.reason), (0.0, 1, BROKEN_OFF))

    def test_confirmation_forgets_the_trouble(self) -> None:
        """A copy that arrived has no reason and no failures any more."""
        copy = Copy()
        copy.fail("UNEXPECTED", 5.0)
        copy.confirm()
        self.assertEqual((copy.reason, copy.failures), (None, 0))
