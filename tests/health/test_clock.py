"""Whether the clock of this machine is right."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.health.clock import REMEMBERED, ClockCheck
from rustbalance.moment import Moment

NOW = Moment(1000.0, 1_700_000_000.0)
CONSENSUS = 1_700_000_000


class ClockCheckTests(SynchronousTestCase):
    """What speaks against a clock, with a tolerance of 5 s."""

    def setUp(self) -> None:
        """Begin with nothing heard."""
        self.clock = ClockCheck(5.0)

    def sentences(self, valid_after: int | None = None, now: Moment = NOW, **offsets: float) -> tuple[str, ...]:
        """Return what is said."""
        return self.clock.sentences(valid_after, offsets, now)

    def test_nothing_known(self) -> None:
        """Without evidence there is no complaint."""
        self.assertEqual(self.sentences(), ())

    def test_age_of_the_consensus(self) -> None:
        """D-92: a consensus may be hours old without telling anything; one from the future tells."""
        for age in (0, 3600, 3 * 3600, 30 * 3600, -5):
            self.assertEqual(self.sentences(CONSENSUS - age), ())
        [sentence] = self.sentences(CONSENSUS + 7200)
        self.assertIn("behind by 7200 s or more", sentence)

    def test_word_of_tor(self) -> None:
        """It counts for an hour, or until the clock is set."""
        self.clock.skewed(-90.0, NOW)
        self.assertIn("90 s behind", self.sentences()[0])
        self.assertEqual(self.sentences(now=NOW.later(REMEMBERED)), ())
        self.clock.skewed(90.0, NOW)
        self.assertIn("90 s ahead", self.sentences()[0])
        self.clock.jumped()
        self.assertEqual(self.sentences(), ())

    def test_one_other_node(self) -> None:
        """Of two clocks nobody can tell which is wrong."""
        self.assertEqual(self.sentences(berlin=4.0), ())
        self.assertEqual(
            self.sentences(berlin=-60.0),
            ("the clocks of this node and of berlin differ by 60 s: set the one that is wrong",),
        )

    def test_most_other_nodes(self) -> None:
        """One strange clock among several is that node's trouble; when most differ from ours it is ours."""
        self.assertEqual(self.sentences(a=0.1, b=-0.4, c=3600.0), ())
        [sentence] = self.sentences(a=3600.0, b=3601.0, c=-0.4)
        self.assertIn("3600 s behind, compared with most", sentence)
        [sentence] = self.sentences(a=-20.0, b=-22.0)
        self.assertIn("20 s ahead", sentence)

    def test_of_three_the_strange_one(self) -> None:
        """Of three, the two that agree are right, and do not accuse themselves of half of what the third one is off."""
        self.assertEqual(self.sentences(a=0.0, b=30.0), ())
        self.assertEqual(self.sentences(a=0.2, b=-3600.0), ())
        [sentence] = self.sentences(a=30.0, b=30.0)
        self.assertIn("30 s behind", sentence)
