"""Everything at once, as far as it can be told without booting it; tests/live/test_lab.py does."""

import os
from pathlib import Path

from twisted.internet import reactor  # noqa: TID251  (handed on, never run)
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.lab import state
from rustbalance.lab.whole import Lab
from rustbalance.life import deferred


class LabTests(SynchronousTestCase):
    """Beginnings and ends."""

    def test_directory_in_use(self) -> None:
        """A second lab in the same directory is refused, and the first one's state stays."""
        directory = Path(self.mktemp()).absolute()
        directory.mkdir(mode=0o700)
        (directory / state.LAB_FILE).write_text("{}")
        self.addCleanup(os.close, state.hold(directory))
        self.failureResultOf(deferred(Lab(directory, reactor).start()), state.LabRuns)
        self.assertTrue((directory / state.LAB_FILE).exists())

    def test_stop_before_start(self) -> None:
        """Stopping what never ran does nothing, however often."""
        lab = Lab(Path(self.mktemp()), reactor)
        self.successResultOf(deferred(lab.stop()))
        self.successResultOf(deferred(lab.stop()))

    def test_no_visitor_before_start(self) -> None:
        """Nobody can visit yet."""
        with self.assertRaises(RuntimeError):
            Lab(Path(self.mktemp()), reactor).visitor
