"""Doing what has been decided about failures."""

from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.health.repair import Action, Failure
from rustbalance.health.repairs import Repairer
from rustbalance.moment import Moment


class RepairerTests(SynchronousTestCase):
    """Repairs on a clock of our own."""

    def setUp(self) -> None:
        """Begin."""
        self.now = 0.0
        self.done: list[tuple[Action, str]] = []
        self.repairer = Repairer({action: self.performer(action) for action in Action}, self.clocks)

    def clocks(self) -> Moment:
        """Return the time."""
        return Moment(self.now, self.now)

    def performer(self, action: Action) -> "Performed":
        """Return what notes that the action is done."""
        return Performed(action, self.done)

    def test_done_and_said(self) -> None:
        """What is decided is done, with a line for each repair, one when it is given up, and one at the end."""
        with capturedLogs() as events:
            for second in range(0, 200, 5):
                self.now = float(second)
                self.repairer.report(Failure.TOR_HUNG, "primary")
            self.repairer.recovered(Failure.TOR_HUNG, "primary")
            self.repairer.recovered(Failure.TOR_HUNG, "primary")
        self.assertEqual(self.done, [(Action.RESTART_INSTANCE, "primary")] * 3)
        lines = [(event["log_level"].name, str(formatEvent(event))[:40]) for event in events]
        begin = "Tor (primary) does not answer"
        self.assertEqual([level for level, _ in lines], ["warn", "warn", "warn", "error", "info"])
        self.assertTrue(all(begin in text for _, text in lines), lines)

    def test_a_repair_that_fails(self) -> None:
        """It is logged, and the next one comes all the same."""
        repairer = Repairer(
            {Action.REPUBLISH: self.broken, Action.STEP_DOWN: self.performer(Action.STEP_DOWN)}, self.clocks
        )
        repairer.report(Failure.UNREACHABLE)
        self.now = 200.0
        repairer.report(Failure.UNREACHABLE)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertEqual(self.done, [(Action.STEP_DOWN, "")])

    def test_impossible(self) -> None:
        """What cannot be done now is neither done nor said; as soon as it can be it is."""
        impossible = [Action.REPUBLISH]
        performers = {action: self.performer(action) for action in Action}
        repairer = Repairer(performers, self.clocks, lambda _: impossible)
        repairer.report(Failure.UNREACHABLE)
        impossible.clear()
        self.now = 1000.0
        repairer.recovered(Failure.UNREACHABLE)
        repairer.report(Failure.UNREACHABLE)
        self.assertEqual([action for action, _ in self.done], [Action.STEP_DOWN, Action.REPUBLISH])

    def test_problems(self) -> None:
        """What lasts is told with what is being done about it."""
        self.repairer.report(Failure.PEER_SILENT, "berlin")
        self.assertEqual(
            self.repairer.problems(), ("node berlin is not heard: the way to it is being looked for anew (attempt 1)",)
        )
        self.repairer.recovered(Failure.PEER_SILENT, "berlin")
        self.assertEqual(self.repairer.problems(), ())

    def broken(self, subject: str) -> None:
        """Fail."""
        raise OSError("it cannot be done")


class Performed:
    """Notes the action and its subject when it is called."""

    def __init__(self, action: Action, done: list[tuple[Action, str]]) -> None:
        self._action = action
        self._done = done

    def __call__(self, subject: str) -> None:
        self._done.append((self._action, subject))
