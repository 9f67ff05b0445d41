"""Whether the target answers."""

from typing import Any

from twisted.logger import LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.proxy.health import TargetHealth


class TargetHealthTests(SynchronousTestCase):
    """Each change is one line and one call."""

    def setUp(self) -> None:
        """Collect what is said."""
        self.lines: list[tuple[LogLevel, str]] = []
        observer: Any = lambda event: self.lines.append((event["log_level"], event["log_format"]))  # noqa: E731
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.health = TargetHealth()
        self.changes: list[bool | None] = []
        self.health.changed = lambda: self.changes.append(self.health.healthy)

    def test_lines(self) -> None:
        """Unknown, up, down, up: one error and one piece of news, whatever is repeated."""
        self.assertIsNone(self.health.healthy)
        for outcome in ("up", "up", "down", "down", "up", "up"):
            self.health.up() if outcome == "up" else self.health.down("no answer")
            self.assertIs(self.health.healthy, outcome == "up")
        self.assertEqual(
            self.lines, [(LogLevel.error, "Target is DOWN: {reason}"), (LogLevel.info, "Target recovered")]
        )
        self.assertEqual(self.changes, [True, False, True])
        self.assertEqual(self.health.answers, 4)

    def test_without_probes(self) -> None:
        """A visitor's failed request decides, and nobody is turned away: only visitors can find that it is back."""
        self.health.failed("no answer")
        self.assertIs(self.health.healthy, False)
        self.assertFalse(self.health.turns_away)

    def test_with_probes(self) -> None:
        """A visitor's failed request only raises a doubt; whoever probes decides, and then visitors are turned away."""
        doubts: list[None] = []
        self.health.probed = True
        self.health.doubted = lambda: doubts.append(None)
        self.health.failed("no answer")
        self.assertEqual((self.health.healthy, len(doubts)), (None, 1))
        self.assertFalse(self.health.turns_away)
        self.health.down("no answer")
        self.assertTrue(self.health.turns_away)
