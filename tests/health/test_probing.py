"""What probes of the target add up to."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.health.probing import FOLLOW_UP, WHILE_DOWN, ProbeSettings, Probing


class ProbingTests(SynchronousTestCase):
    """Judgement and pace."""

    def setUp(self) -> None:
        """Begin with nothing known."""
        self.probing = Probing(ProbeSettings("master.onion"))

    def test_down_after_three(self) -> None:
        """Two failures are a mishap, three in a row are not."""
        found = []
        for _ in range(4):
            self.probing.failed(0)
            found.append(self.probing.down)
        self.assertEqual(found, [False, False, True, True])
        self.probing.passed()
        self.assertFalse(self.probing.down)

    def test_a_pass_begins_anew(self) -> None:
        """Failures count in a row only."""
        for _ in range(5):
            self.probing.failed(0)
            self.probing.failed(0)
            self.probing.passed()
        self.assertFalse(self.probing.down)

    def test_visitors_answers_count(self) -> None:
        """A probe's path that always fails does not take a target down whose visitors are served."""
        for answers in range(10):
            self.probing.failed(answers + 1)
        self.assertFalse(self.probing.down)
        self.probing.failed(10)
        self.probing.failed(10)
        self.assertTrue(self.probing.down)

    def test_statuses(self) -> None:
        """What is expected is said in the configuration; the rest is told by its status."""
        wrong = [status for status in (100, 199, 200, 302, 399, 400, 500) if self.probing.complaint(status)]
        self.assertEqual(wrong, [100, 199, 400, 500])
        self.assertEqual(self.probing.complaint(500), "it answers with status 500")

    def test_pace(self) -> None:
        """Quick while nothing is known or something is wrong, slower while it is down, slow while all is well."""
        self.assertEqual(self.probing.wait(), FOLLOW_UP)
        self.probing.passed()
        self.assertEqual(self.probing.wait(), 60.0)
        self.probing.failed(0)
        self.assertEqual(self.probing.wait(), FOLLOW_UP)
        self.probing.failed(0)
        self.probing.failed(0)
        self.assertEqual(self.probing.wait(), WHILE_DOWN)

    def test_a_short_interval_is_kept(self) -> None:
        """No wait is longer than what is configured."""
        probing = Probing(ProbeSettings("master.onion", interval=2.0))
        self.assertEqual(probing.wait(), 2.0)
        for _ in range(3):
            probing.failed(0)
            self.assertEqual(probing.wait(), 2.0)
