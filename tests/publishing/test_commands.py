"""Tests for L{rustbalance.publishing.commands}."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.onion.plan import Seat
from rustbalance.publishing.commands import Silence


class SilenceTests(SynchronousTestCase):
    """L{Silence} says what happened and what comes of it."""

    def test_sentences(self) -> None:
        """Whether Tor broke it off, and whether there is a newer text by now."""
        for broken_off, replaced, sentence in (
            (
                True,
                False,
                "Tor broke off the upload of the first descriptor to 8 directories: it is posted there at once",
            ),
            (
                True,
                True,
                "Tor broke off the upload of a first descriptor that has been replaced to 8 directories: "
                "the newer one is posted there at once",
            ),
            (
                False,
                True,
                "8 directories did not answer for a first descriptor that has been replaced: "
                "the newer one is posted there soon",
            ),
        ):
            self.assertEqual(Silence(Seat.FIRST, 8, broken_off, replaced).sentence, sentence)
        self.assertTrue(Silence(Seat.FIRST, 1, False, True).sentence.startswith("1 directory did not answer"))
