"""Tests for L{rustbalance.cluster.replay}."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.replay import LONGEST_WAY, REMEMBERED_BOOTS, ReplayGuard

A, B = b"a" * 32, b"b" * 32


def taken(guard: ReplayGuard, key: bytes, boot: bytes, sequence: int, wall: float = 0.0, now: float = 0.0) -> bool:
    """Offer a frame; note it when it is new, as whoever opens frames does."""
    if not guard.is_new(key, boot, sequence, wall, now):
        return False
    guard.note(key, boot, sequence, wall, now)
    return True


class ReplayGuardTests(SynchronousTestCase):
    """A frame counts once."""

    def test_sequence(self) -> None:
        """Within a boot each number must be larger than the last, gaps allowed."""
        guard = ReplayGuard()
        found = [taken(guard, A, b"boot", sequence) for sequence in (1, 1, 2, 9, 5, 9, 10)]
        self.assertEqual(found, [True, False, True, True, False, False, True])

    def test_follows(self) -> None:
        """Only what comes after the last of the present boot follows it."""
        guard = ReplayGuard()
        self.assertFalse(guard.follows(A, b"boot", 1))
        taken(guard, A, b"boot", 5)
        found = [guard.follows(*each) for each in ((A, b"boot", 6), (A, b"boot", 5), (A, b"other", 6), (B, b"boot", 6))]
        self.assertEqual(found, [True, False, False, False])

    def test_asking_changes_nothing(self) -> None:
        """What was not noted is still new."""
        guard = ReplayGuard()
        self.assertTrue(guard.is_new(A, b"boot", 5, 0.0, 0.0))
        self.assertTrue(guard.is_new(A, b"boot", 4, 0.0, 0.0))

    def test_boots(self) -> None:
        """A new boot counts from the start, and ends the earlier one."""
        guard = ReplayGuard()
        self.assertTrue(taken(guard, A, b"one", 100))
        self.assertTrue(taken(guard, A, b"two", 1))
        self.assertFalse(taken(guard, A, b"one", 101))
        self.assertTrue(taken(guard, A, b"two", 2))

    def test_earlier_boot_comes_late(self) -> None:
        """A late frame of a boot that we never heard does not end the one that came after it."""
        guard = ReplayGuard()
        self.assertTrue(taken(guard, A, b"two", 1, wall=60.0))
        self.assertFalse(taken(guard, A, b"one", 100, wall=58.0))
        self.assertTrue(taken(guard, A, b"two", 2, wall=61.0))
        self.assertTrue(taken(guard, A, b"three", 1, wall=61.0))

    def test_clock_set_back(self) -> None:
        """A node that starts again with its clock set back is heard after a while, by which no late frame is valid."""
        guard = ReplayGuard()
        self.assertTrue(taken(guard, A, b"one", 7, wall=160.0, now=500.0))
        self.assertFalse(taken(guard, A, b"two", 1, wall=62.0, now=501.0))
        self.assertTrue(taken(guard, A, b"two", 9, wall=81.0, now=500.1 + LONGEST_WAY))
        self.assertFalse(taken(guard, A, b"one", 8, wall=161.0, now=501.0 + LONGEST_WAY))

    def test_patient_with_clocks(self) -> None:
        """Where clocks may differ more frames are valid for longer, and late ones of an earlier boot are waited out."""
        guard, later = ReplayGuard(skew=60.0), 22.0 + LONGEST_WAY
        self.assertTrue(taken(guard, A, b"one", 4, wall=100.0, now=500.0))
        self.assertTrue(taken(guard, A, b"two", 1, wall=101.0, now=501.0))
        self.assertFalse(taken(guard, A, b"one", 5, wall=100.5, now=501.0 + later))
        self.assertTrue(taken(guard, A, b"two", 2, wall=102.0 + later, now=502.0 + later))

    def test_wrongly_ended(self) -> None:
        """A boot that goes on when one that was taken for newer has fallen silent is heard again, and nothing twice."""
        guard = ReplayGuard()
        self.assertTrue(taken(guard, A, b"two", 5, wall=67.0, now=100.0))
        self.assertTrue(taken(guard, A, b"one", 23, wall=72.0, now=101.0))
        self.assertFalse(taken(guard, A, b"two", 6, wall=69.0, now=103.0))
        later = 102.0 + LONGEST_WAY
        self.assertFalse(taken(guard, A, b"two", 5, wall=67.0, now=later))
        self.assertTrue(taken(guard, A, b"two", 16, wall=88.0, now=later))
        self.assertFalse(taken(guard, A, b"one", 24, wall=89.0, now=later + 1))

    def test_nodes_do_not_touch_each_other(self) -> None:
        """Each key has its own count."""
        guard = ReplayGuard()
        self.assertTrue(taken(guard, A, b"boot", 7))
        self.assertTrue(taken(guard, B, b"boot", 1))

    def test_forget(self) -> None:
        """A node that is no member any more leaves nothing behind, and one that nobody knows may be forgotten."""
        guard = ReplayGuard()
        taken(guard, A, b"boot", 7)
        guard.forget(A)
        guard.forget(B)
        self.assertTrue(taken(guard, A, b"boot", 1))

    @given(st.lists(st.tuples(st.integers(0, REMEMBERED_BOOTS), st.integers(0, 5), st.integers(0, 9)), max_size=60))
    def test_nothing_counts_twice(self, frames: list[tuple[int, int, int]]) -> None:
        """In any order of frames of a few boots, at any times, none is taken twice."""
        guard, now, heard = ReplayGuard(), 0.0, list[tuple[int, int]]()
        for boot, sequence, wall in frames:
            now += 4.0 * wall
            if taken(guard, A, b"%d" % boot, sequence, float(wall), now):
                heard.append((boot, sequence))
        self.assertEqual(len(heard), len(set(heard)))

    def test_memory_is_bounded(self) -> None:
        """A node that starts again and again is remembered with its last boots only."""
        guard = ReplayGuard()
        for number in range(1000):
            self.assertTrue(taken(guard, A, b"%d" % number, 1))
        self.assertFalse(guard.is_new(A, b"%d" % (999 - REMEMBERED_BOOTS), 1, 0.0, 0.0))
        self.assertLessEqual(len(guard._heard[A].earlier), REMEMBERED_BOOTS)
