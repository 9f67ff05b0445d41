"""Tests for L{rustbalance.tor.performing}."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.tor.performing import Performer


class PerformerTests(SynchronousTestCase):
    """Commands are done in their order."""

    def test_in_order(self) -> None:
        """What the first command leads to is done after the second, which was there before."""
        outbox: list[str] = []
        done: list[str] = []

        def perform(command: str) -> None:
            done.append(command)
            if command == "first":
                performer.feed(lambda: outbox.append("third"))

        performer = Performer(outbox, perform)
        performer.feed(lambda: outbox.extend(["first", "second"]))
        self.assertEqual(done, ["first", "second", "third"])

    def test_goes_on(self) -> None:
        """One that fails does not keep later ones from being done."""
        outbox: list[int] = []
        done: list[float] = []
        performer = Performer(outbox, lambda command: done.append(1 / command))
        self.assertRaises(ZeroDivisionError, performer.feed, lambda: outbox.append(0))
        performer.feed(lambda: outbox.append(1))
        self.assertEqual(done, [1.0])
