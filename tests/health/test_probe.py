"""Probes of the target, on a clock of our own."""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.health.probe import Probe
from rustbalance.health.probing import ProbeSettings
from rustbalance.proxy.asking import Unanswered
from rustbalance.proxy.health import TargetHealth


class Target:
    """A front whose target does what C{outcome} says; C{asked} notes when it was asked, and for what."""

    def __init__(self, clock: Clock) -> None:
        self.target = TargetHealth()
        self.outcome: int | Exception | Deferred[int] = 200
        self.asked: list[float] = []
        self.questions: list[tuple[str, str, float]] = []
        self._clock = clock

    async def ask(self, path: str, host: str, seconds: float) -> int:
        """Do so."""
        self.asked.append(self._clock.seconds())
        self.questions.append((path, host, seconds))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome if isinstance(self.outcome, int) else await self.outcome


class ProbeTests(SynchronousTestCase):
    """With an interval of 60 s and a threshold of 3."""

    def setUp(self) -> None:
        """Start a probe."""
        self.clock = Clock()
        self.front = Target(self.clock)
        self.changes: list[bool | None] = []
        self.front.target.changed = lambda: self.changes.append(self.front.target.healthy)
        self.probe = Probe(ProbeSettings("master.onion", "/health"), self.front, self.clock)
        self.addCleanup(lambda: self.probe.stopService() if self.probe.running else None)

    def run_for(self, seconds: int) -> None:
        """Let time pass."""
        self.clock.pump([1.0] * seconds)

    def test_it_asks_now_and_then(self) -> None:
        """The first time at the start; for the page, as a visitor of the address, with the time limit."""
        self.probe.startService()
        self.run_for(130)
        self.assertEqual(self.front.asked, [0, 60, 120])
        self.assertEqual(self.front.questions[0], ("/health", "master.onion", 5.0))
        self.assertEqual(self.changes, [True])

    def test_three_failures(self) -> None:
        """The third failure in a row takes the target down, and visitors with it; a pass brings both back."""
        self.probe.startService()
        self.run_for(59)
        self.front.outcome = Unanswered("connection refused")
        self.run_for(7)
        self.assertEqual(self.front.asked[1:], [60, 65])
        self.assertFalse(self.front.target.turns_away)
        self.run_for(4)
        self.assertTrue(self.front.target.turns_away)
        self.front.outcome = 204
        self.run_for(15)
        self.assertEqual(self.front.asked[-1], 85)
        self.assertFalse(self.front.target.turns_away)
        self.assertEqual(self.changes, [True, False, True])

    def test_a_wrong_status_is_a_failure(self) -> None:
        """A target that only apologises is down."""
        self.front.outcome = 500
        self.probe.startService()
        self.run_for(10)
        self.assertEqual(self.changes, [False])

    def test_a_visitors_answer_brings_it_back(self) -> None:
        """What was under way when it was found down may prove the opposite."""
        self.front.outcome = Unanswered("no answer in time")
        self.probe.startService()
        self.run_for(10)
        self.front.target.up()
        self.assertFalse(self.front.target.turns_away)
        self.run_for(5)
        self.assertFalse(self.front.target.turns_away, "one failed probe after an answer")

    def test_our_own_trouble_does_not_count(self) -> None:
        """Without a Tor nothing is known about an onion target; it is asked again soon."""
        self.front.outcome = Unanswered("no Tor is ready", down=False)
        self.probe.startService()
        self.run_for(21)
        self.assertEqual(self.front.asked, [0, 5, 10, 15, 20])
        self.assertEqual(self.changes, [])

    def test_doubt(self) -> None:
        """A visitor's failed request is followed up at once, but any number of them by no more than one probe."""
        self.probe.startService()
        self.run_for(30)
        for _ in range(100):
            self.front.target.failed("no answer in time")
        self.run_for(1)
        self.assertEqual(self.front.asked, [0, 31])
        self.front.target.failed("no answer in time")
        self.run_for(6)
        self.assertEqual(self.front.asked, [0, 31, 36])
        self.assertEqual(self.changes, [True])

    def test_one_probe_at_a_time(self) -> None:
        """While a probe waits for its answer no other begins."""
        waiting: Deferred[int] = Deferred()
        self.front.outcome = waiting
        self.probe.startService()
        self.front.target.failed("no answer in time")
        self.run_for(300)
        self.assertEqual(self.front.asked, [0])
        self.front.outcome = 200
        waiting.callback(200)
        self.run_for(61)
        self.assertEqual(len(self.front.asked), 2)

    def test_stop(self) -> None:
        """Nothing is left of it, whatever was under way."""
        self.front.outcome = Deferred()
        self.probe.startService()
        self.run_for(1)
        self.probe.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.run_for(100)
        self.assertEqual(self.front.asked, [0])
