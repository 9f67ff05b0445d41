"""Tests for L{rustbalance.coordination.offsets}."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.coordination.offsets import MOST, MOST_NODES, WINDOW, Offsets


class OffsetsTests(SynchronousTestCase):
    """Differences between clocks."""

    def setUp(self) -> None:
        """Begin with nothing heard."""
        self.offsets = Offsets()

    def test_the_quickest_counts(self) -> None:
        """Frames take their time, which looks as if the sender's clock were behind."""
        for at, ahead in enumerate((-3.0, 1.9, -0.5)):
            self.offsets.note("a", ahead, at)
        self.offsets.note("b", -7.0, 3.0)
        self.assertEqual(self.offsets.now(4.0), {"a": 1.9, "b": -7.0})

    def test_of_late(self) -> None:
        """What was heard long ago says nothing: a clock may have been set since."""
        self.offsets.note("a", 50.0, 0.0)
        self.offsets.note("a", 0.0, 30.0)
        self.assertEqual(self.offsets.now(WINDOW), {"a": 50.0})
        self.assertEqual(self.offsets.now(WINDOW + 1), {"a": 0.0})
        self.assertEqual(self.offsets.now(WINDOW + 31), {})

    def test_bounded(self) -> None:
        """Any number of frames takes the room of a few."""
        for _ in range(1000):
            self.offsets.note("a", 9.0, 0.0)
        for _ in range(MOST):
            self.offsets.note("a", 1.0, 0.0)
        self.assertEqual(self.offsets.now(0.0), {"a": 1.0})

    def test_names(self) -> None:
        """Of many names the first are forgotten."""
        for number in range(MOST_NODES + 1):
            self.offsets.note(f"new-{number}", 1.0, 0.0)
        found = self.offsets.now(0.0)
        self.assertEqual((len(found), "new-0" in found, "new-1" in found), (MOST_NODES, False, True))

    def test_members_only(self) -> None:
        """One that is no member any more is forgotten."""
        self.offsets.note("a", 1.0, 0.0)
        self.offsets.note("b", 1.0, 0.0)
        self.offsets.forget({"b": None})
        self.assertEqual(self.offsets.now(0.0), {"b": 1.0})
