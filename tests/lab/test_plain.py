"""The plain onion service."""

from pathlib import Path

from twisted.internet.defer import TimeoutError as DeadlinePassed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.lab.plain import PlainService
from rustbalance.life import deferred

UPLOADED = "UPLOADED x UNKNOWN $ABC"


class PublishedTests(SynchronousTestCase):
    """Counting confirmations; tests/live/test_lab.py runs one."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.plain = PlainService(Path(self.mktemp()).absolute(), "", 80, 1, self.clock)

    def happen(self, at: float, event: str) -> None:
        self.clock.advance(at - self.clock.seconds())
        self.plain._happened(event)

    def test_counts_confirmations_only(self) -> None:
        """Uploads that were only tried do not count."""
        third = deferred(self.plain.published(2))
        for at, event in ((1, "UPLOAD x UNKNOWN $A"), (2, UPLOADED), (3, "CREATED x"), (4, UPLOADED), (5, UPLOADED)):
            self.happen(at, event)
        self.assertEqual(self.successResultOf(third), 4)
        self.assertEqual(self.plain.uploads, [2, 4, 5])
        self.assertEqual(self.successResultOf(deferred(self.plain.published(3))), 5)

    def test_deadline(self) -> None:
        """A service that does not publish is not waited for without end, and may still publish later."""
        waiting = deferred(self.plain.published(1, deadline=30))
        self.clock.advance(30)
        self.failureResultOf(waiting, DeadlinePassed)
        self.happen(40, UPLOADED)
        self.assertEqual(self.plain.uploads, [40])

    def test_not_started(self) -> None:
        """Before the start there is no process, and stopping does nothing."""
        self.assertIsNone(self.plain.pid)
        self.successResultOf(deferred(self.plain.stop()))
