"""Looking after the node, on a clock of our own."""

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.health.clock import ClockCheck
from rustbalance.health.repair import Action
from rustbalance.health.repairs import Repairer
from rustbalance.health.service import Watch
from rustbalance.moment import Moment
from rustbalance.ops.status import NodeStatus
from rustbalance.tor.events import ClockJumped, ClockSkewed
from tests.health.test_repairs import Performed
from tests.ops.statuses import instance, node

HUNG = node(instances=(instance(phase="waiting", failure="hung"),))


class WatchTests(SynchronousTestCase):
    """A node whose status the test decides."""

    def setUp(self) -> None:
        """Watch one that is well."""
        self.clock = Clock()
        self.status = node()
        self.done: list[tuple[Action, str]] = []
        self.offsets: dict[str, float] = {}
        remedies = {action: Performed(action, self.done) for action in Action}
        self.watch = Watch(
            lambda: self.status,
            Repairer(remedies, self.now),
            ClockCheck(5.0),
            lambda: None,
            lambda: self.offsets,
            self.clock,
            self.now,
        )
        self.watch.startService()
        self.addCleanup(self.stop)

    def stop(self) -> None:
        """Leave nothing behind."""
        self.watch.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def now(self) -> Moment:
        """Return the time."""
        return Moment(self.clock.seconds(), self.clock.seconds())

    def later(self, seconds: int) -> None:
        """Let time pass."""
        self.clock.pump([1.0] * seconds)

    def test_from_failure_to_recovery(self) -> None:
        """A failure that lasts is repaired, told in a sentence, and forgotten when it is over."""
        self.later(10)
        self.assertEqual(self.watch.problems(), ())
        self.status = HUNG
        self.later(30)
        self.assertEqual(self.done, [(Action.RESTART_INSTANCE, "primary")])
        self.assertIn("it is being restarted", self.watch.problems()[0])
        self.status = node()
        self.later(5)
        self.assertEqual(self.watch.problems(), ())

    def test_clock(self) -> None:
        """A wrong clock is an error once, a problem as long as it lasts, and news when it is right again."""
        with capturedLogs() as events:
            self.offsets = {"a": 60.0, "b": 61.0}
            self.later(20)
            self.assertEqual(len(self.watch.problems()), 1)
            self.watch.on_event(ClockSkewed(-60.0))
            self.assertEqual(len(self.watch.problems()), 2)
            self.offsets = {"a": 0.0, "b": 0.0}
            self.watch.on_event(ClockJumped(60.0))
            self.later(10)
        self.assertEqual(self.watch.problems(), ())
        lines = [(event["log_level"].name, str(formatEvent(event))) for event in events]
        self.assertEqual([level for level, _ in lines], ["error", "warn", "info"])
        self.assertEqual(lines[-1][1], "the clock of this machine is right again")

    def test_a_status_that_fails(self) -> None:
        """It is looked at again."""
        watch = Watch(broken, Repairer({}), ClockCheck(5.0), lambda: None, dict, self.clock, self.now)
        watch.startService()
        self.later(5)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 2)
        watch.stopService()


def broken() -> NodeStatus:
    """Fail."""
    raise OSError("no status")
