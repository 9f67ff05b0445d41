"""Whether the target answers."""

from typing import Any

from twisted.logger import LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.proxy.health import TargetHealth


class TargetHealthTests(SynchronousTestCase):
    """The latest outcome counts, and each change is one line."""

    def test_lines(self) -> None:
        """Unknown, up, down, up: one error and one piece of news, whatever is repeated."""
        lines: list[tuple[LogLevel, str]] = []
        observer: Any = lambda event: lines.append((event["log_level"], event["log_format"]))  # noqa: E731
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        health = TargetHealth()
        self.assertIsNone(health.healthy)
        for outcome in ("up", "up", "down", "down", "up", "up"):
            health.up() if outcome == "up" else health.down("no answer")
            self.assertIs(health.healthy, outcome == "up")
        self.assertEqual(lines, [(LogLevel.error, "Target is DOWN: {reason}"), (LogLevel.info, "Target recovered")])
