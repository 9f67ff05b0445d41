"""Tests for L{rustbalance.publishing.ring_source}."""

from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.life import deferred
from rustbalance.onion.keys import MasterKey
from rustbalance.onion.plan import PublicationPlan
from rustbalance.publishing.ring_source import RingSource
from rustbalance.secrets import Secret
from rustbalance.tor.control import ControlRefused
from rustbalance.tor.replies import Setting
from tests.bench.network import consensus_and_microdescriptors

T = TypeVar("T")


class Source:
    """What Tor says about its network; ``asked`` counts by question."""

    def __init__(self) -> None:
        self.text, self.microdescriptor_text = consensus_and_microdescriptors(40)
        self.testing: str | None = None
        self.asked = {"consensus": 0, "microdescriptors": 0, "conf": 0}
        self.error: Exception | None = None

    async def consensus(self) -> bytes:
        """Say it, or fail."""
        self.asked["consensus"] += 1
        if self.error is not None:
            raise self.error
        return self.text

    async def microdescriptors(self) -> bytes:
        """Say it."""
        self.asked["microdescriptors"] += 1
        return self.microdescriptor_text

    async def get_conf(self, key: str) -> tuple[Setting, ...]:
        """Say it."""
        self.asked["conf"] += 1
        return ((key, self.testing),)


class RingSourceTests(SynchronousTestCase):
    """L{RingSource} turns what Tor knows into plans."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.source = Source()
        self.threads = 0
        self.plans: list[PublicationPlan] = []
        public = MasterKey.from_seed(Secret.copy_of(b"s" * 32)).public
        self.rings = RingSource(public, self.in_thread, self.clock, 600.0, lambda failures: 2.0**failures)

    async def in_thread(self, function: Callable[[], T]) -> T:
        """Count what does not run on the event loop."""
        self.threads += 1
        return function()

    def follow(self) -> Deferred[None]:
        """Begin to follow."""
        following = deferred(self.rings.follow(self.source, self.plans.append))
        self.addCleanup(lambda: None if following.called else self.stop(following))
        return following

    def stop(self, following: Deferred[None]) -> None:
        """End it; nothing may be left behind."""
        following.cancel()
        self.failureResultOf(following)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_plan_at_once(self) -> None:
        """The first plan is made at once, in threads, and kept."""
        self.assertIsNotNone(self.rings.problem)
        self.follow()
        [plan] = self.plans
        self.assertEqual((self.rings.plan, self.rings.problem), (plan, None))
        self.assertEqual([len(seat.directories) for seat in plan], [8, 8])
        self.assertEqual(self.threads, 3)

    def test_testing_network_is_tors_word(self) -> None:
        """Whether it is a testing network is asked once; it changes the length of a period."""
        self.source.testing = "1"
        self.follow()
        self.rings.notify()
        self.assertEqual(self.plans[0].first.period.length, 24 * 60)
        self.assertEqual(self.source.asked["conf"], 1)

    def test_a_new_consensus(self) -> None:
        """Word of a consensus makes a new plan; microdescriptors that are known already are not asked for again."""
        self.follow()
        self.rings.notify()
        self.assertEqual(len(self.plans), 2)
        self.assertEqual(self.source.asked["microdescriptors"], 1)

    def test_missing_microdescriptors(self) -> None:
        """While some are missing it looks again soon, then less often, and stops when none is."""
        whole = self.source.microdescriptor_text
        self.source.microdescriptor_text = whole[: whole.rindex(b"onion-key\n")].rstrip(b"\n")
        self.follow()
        self.assertEqual(self.plans[0].missing_microdescriptors, 1)
        self.clock.advance(2)
        self.assertEqual(len(self.plans), 2)
        self.clock.advance(2)
        self.assertEqual(len(self.plans), 2)
        self.source.microdescriptor_text = whole
        self.clock.advance(2)
        self.assertEqual((len(self.plans), self.plans[-1].missing_microdescriptors), (3, 0))
        self.clock.advance(599)
        self.assertEqual(len(self.plans), 3)

    def test_periodic_look(self) -> None:
        """Without any word it looks again after the configured time."""
        self.follow()
        self.clock.advance(600)
        self.assertEqual(len(self.plans), 2)

    def test_errors_do_not_end_it(self) -> None:
        """A refusal or a nonsense consensus is a problem that goes away by itself; the last plan stays."""
        self.follow()
        self.source.error = ControlRefused(551, "no consensus")
        self.rings.notify()
        self.assertIn("no consensus", str(self.rings.problem))
        self.assertIs(self.rings.plan, self.plans[0])
        self.source.error, good, self.source.text = None, self.source.text, b"nonsense"
        self.clock.advance(2)
        self.assertIn("cannot be told", str(self.rings.problem))
        self.source.text = good
        self.clock.advance(4)
        self.assertEqual((len(self.plans), self.rings.problem), (2, None))

    def test_a_plan_that_nobody_can_take(self) -> None:
        """An error of whoever is told ends nothing: it is logged, and the plan is told again soon."""
        errors = [RuntimeError("a bug")]

        def take(plan: PublicationPlan) -> None:
            if errors:
                raise errors.pop()
            self.plans.append(plan)

        following = deferred(self.rings.follow(self.source, take))
        self.assertNoResult(following)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.clock.advance(2)
        self.assertEqual(len(self.plans), 1)
        self.stop(following)

    def test_news_while_busy(self) -> None:
        """Word that comes while a plan is being made leads to another one right after it."""
        waiting: Deferred[bytes] = Deferred()
        first = self.source.consensus

        async def slow() -> bytes:
            self.patch(self.source, "consensus", first)
            return await waiting

        self.patch(self.source, "consensus", slow)
        self.follow()
        self.rings.notify()
        self.rings.notify()
        self.assertEqual(self.plans, [])
        waiting.callback(self.source.text)
        self.assertEqual(len(self.plans), 2)

    def test_cancelled_while_asking(self) -> None:
        """It ends also while Tor owes an answer."""
        self.patch(self.source, "consensus", lambda: Deferred())
        self.stop(self.follow())
        self.assertEqual(self.plans, [])
