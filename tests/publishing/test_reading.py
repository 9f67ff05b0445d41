"""Tests for L{rustbalance.publishing.reading}."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.publishing.reading import Reading
from rustbalance.publishing.settings import PublishSettings
from tests.publishing.samples import START, at


class ReadingTests(SynchronousTestCase):
    """When a Tor is asked."""

    def setUp(self) -> None:
        self.reading = Reading(PublishSettings())

    def settle(self) -> None:
        """Bring it to where there is nothing new."""
        self.reading.connected(START)
        self.assertTrue(self.reading.ask(at(20), urgent=False))
        self.reading.answered()

    def test_at_once(self) -> None:
        """A Tor that has just come up is asked at once, and then four times a second for a while."""
        self.assertFalse(self.reading.ask(START, urgent=True))
        self.reading.connected(START)
        self.assertTrue(self.reading.ask(START, urgent=False))
        self.reading.answered()
        self.assertEqual(self.reading.due(), at(0.25).mono)

    def test_at_leisure(self) -> None:
        """When nothing is urgent, every ten seconds."""
        self.settle()
        self.assertEqual(self.reading.due(), at(30).mono)

    def test_urgent(self) -> None:
        """As long as visitors may be waiting, four times a second."""
        self.settle()
        self.assertTrue(self.reading.ask(at(30), urgent=True))
        self.reading.answered()
        self.assertEqual(self.reading.due(), at(30.25).mono)

    def test_hint(self) -> None:
        """A hint makes us look at once and often for some seconds."""
        self.settle()
        self.reading.hint(at(23))
        self.assertTrue(self.reading.ask(at(23), urgent=False))
        self.reading.answered()
        self.assertEqual(self.reading.due(), at(23.25).mono)

    def test_one_at_a_time(self) -> None:
        """While one is under way no other begins, whatever happens; a new connection begins anew."""
        self.reading.connected(START)
        self.assertTrue(self.reading.ask(START, urgent=True))
        self.reading.hint(at(1))
        self.assertFalse(self.reading.ask(at(60), urgent=True))
        self.assertIsNone(self.reading.due())
        self.reading.connected(at(61))
        self.assertTrue(self.reading.ask(at(61), urgent=True))

    def test_lost(self) -> None:
        """Nobody is asked while there is nobody."""
        self.settle()
        self.reading.lost()
        self.assertFalse(self.reading.ask(at(60), urgent=True))
        self.assertIsNone(self.reading.due())
