"""Tests for L{rustbalance.tor.lifecycle}."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.testing.machines import holes, unreachable
from rustbalance.tor.failures import TorFailure
from rustbalance.tor.lifecycle import (
    BOOTSTRAP_STALL,
    SETTLED,
    Close,
    Core,
    LetSleep,
    Lifecycle,
    LifecycleMachine,
    Lost,
    Open,
    Ready,
    Report,
    Stopped,
    Wake,
)

INPUTS = (
    "start",
    "stop",
    "attached",
    "progressed",
    "bootstrapped",
    "failed",
    "ended",
    "woken",
    "none",
    "some",
    "wind_down",
)


def feed(machine: Lifecycle, name: str) -> None:
    """Give the machine one input by name."""
    if name == "failed":
        machine.failed("why", TorFailure.HUNG)
    elif name in ("none", "some"):
        machine.counted(["none", "some"].index(name), 0.0)
    else:
        getattr(machine, name)()


class LifecycleTests(SynchronousTestCase):
    """The order of things in the life of an instance."""

    def setUp(self) -> None:
        self.core = Core(backoff=lambda failures: 2.0 * failures)
        self.machine = LifecycleMachine(self.core)

    def after(self, *names: str) -> list[object]:
        """Return the commands that these inputs cause, beside those from before."""
        self.core.outbox.clear()
        for name in names:
            feed(self.machine, name)
        return list(self.core.outbox)

    def test_total(self) -> None:
        """Every state answers every input, and no state is a dead letter."""
        self.assertEqual(holes(LifecycleMachine), set())
        self.assertEqual(unreachable(LifecycleMachine, "stopped"), set())

    def test_up(self) -> None:
        """Start, attach, bootstrap: then it serves, and the status page says so at each step."""
        self.assertEqual(self.machine.phase(), "stopped")
        self.assertEqual(self.after("start"), [Open()])
        self.assertEqual(self.machine.phase(), "starting")
        self.assertEqual(self.after("attached"), [Wake(BOOTSTRAP_STALL)])
        self.assertEqual(self.machine.phase(), "bootstrapping")
        self.assertEqual(self.after("progressed"), [Wake(BOOTSTRAP_STALL)])
        self.assertEqual(self.after("bootstrapped"), [Wake(SETTLED), Ready()])
        self.assertEqual(self.machine.phase(), "serving")

    def test_lost_while_serving(self) -> None:
        """Everybody hears first, then all is cleared away, then comes the wait, then the next attempt."""
        self.after("start", "attached", "bootstrapped")
        self.assertEqual(self.after("failed"), [Lost("why"), Report("why", 2.0), LetSleep(), Close()])
        self.assertEqual((self.machine.phase(), self.core.failure), ("waiting", TorFailure.HUNG))
        self.assertEqual(self.after("ended"), [Wake(2.0)])
        self.assertEqual(self.after("woken"), [Open()])

    def test_wait_grows_until_it_has_settled(self) -> None:
        """Failures in a row make the waits longer; a minute of service makes them short again."""
        self.after("start")
        self.assertIn(Report("why", 2.0), self.after("failed", "ended", "woken"))
        self.assertIn(Report("why", 4.0), self.after("attached", "bootstrapped", "failed", "ended", "woken"))
        self.assertIn(Report("why", 2.0), self.after("attached", "bootstrapped", "woken", "failed"))

    def test_stuck_bootstrap(self) -> None:
        """A bootstrap that has not moved for ten minutes is begun anew."""
        self.after("start", "attached")
        stuck = "its bootstrap has not moved for 600 s"
        self.assertEqual(self.after("woken"), [Report(stuck, 2.0), LetSleep(), Close()])
        self.assertIs(self.core.failure, TorFailure.NOT_BOOTSTRAPPED)

    def test_without_introductions(self) -> None:
        """A Tor that has served for two minutes without introduction points, first or last, is begun anew."""
        barren = "it has had no introduction points for 120 s"
        for first, counts in ((True, ((0, 5), (0, 124.9))), (False, ((0, 5), (2, 100), (0, 130), (0, 249.9)))):
            with self.subTest(first=first):
                self.setUp()
                self.after("start", "attached", "bootstrapped")
                self.core.outbox.clear()
                for introductions, at in counts:
                    self.machine.counted(introductions, at)
                self.assertEqual(self.core.outbox, [])
                self.machine.counted(0, counts[-1][1] + 0.1)
                self.assertEqual(self.core.outbox, [Lost(barren), Report(barren, 2.0), LetSleep(), Close()])

    def test_without_introductions_since_the_last_life(self) -> None:
        """Each life has its full time."""
        self.after("start", "attached", "bootstrapped")
        self.machine.counted(0, 0)
        self.after("failed", "ended", "woken", "attached", "bootstrapped")
        self.machine.counted(0, 119)
        self.machine.counted(0, 238)
        self.assertEqual(self.machine.phase(), "serving")

    def test_winding_down(self) -> None:
        """What breaks when the daemon is about to stop is cleared away without a word, and not begun again."""
        self.after("start", "attached", "bootstrapped")
        self.assertEqual(self.after("wind_down"), [])
        self.assertEqual(self.machine.phase(), "serving")
        self.assertEqual(self.after("failed"), [Lost("why"), LetSleep(), Close()])
        self.assertEqual(self.after("ended"), [])
        self.assertEqual(self.after("stop"), [LetSleep(), Stopped()])
        self.assertEqual(self.after("start"), [Open()])
        self.assertIn(Report("why", 4.0), self.after("failed"))

    def test_winding_down_while_waiting(self) -> None:
        """The next attempt does not come."""
        self.after("start", "failed", "ended")
        self.assertEqual(self.after("wind_down"), [LetSleep()])

    def test_one_failure_counts_once(self) -> None:
        """The process ends, the connection breaks and a command times out: one failure, one clearing up."""
        self.after("start", "attached", "bootstrapped")
        self.assertEqual(self.after("failed", "failed", "failed").count(Close()), 1)
        self.assertEqual(self.core.failures, 1)

    def test_stop_while_serving(self) -> None:
        """Whoever used it hears of it, and only when nothing is left has it stopped."""
        self.after("start", "attached", "bootstrapped")
        self.assertEqual(self.after("stop"), [Lost("it is being stopped"), LetSleep(), Close()])
        self.assertEqual(self.after("ended"), [LetSleep(), Stopped()])
        self.assertEqual(self.machine.phase(), "stopped")

    def test_stop_while_waiting(self) -> None:
        """Nothing is left to clear away."""
        self.after("start", "failed", "ended")
        self.assertEqual(self.after("stop"), [LetSleep(), Stopped()])

    def test_stop_while_ending(self) -> None:
        """What is being cleared away already is not cleared away twice."""
        self.after("start", "failed")
        self.assertEqual(self.after("stop"), [])
        self.assertEqual(self.after("ended"), [LetSleep(), Stopped()])

    def test_start_while_stopping(self) -> None:
        """The next life begins when the last one is over."""
        self.after("start", "stop")
        self.assertEqual(self.after("start"), [])
        self.assertEqual(self.after("ended"), [Stopped(), Open()])

    def test_any_order(self) -> None:
        """Whatever happens in whatever order: no two attempts overlap, and Ready and Lost alternate."""

        @settings(deadline=None)
        @given(st.lists(st.sampled_from(INPUTS), max_size=40))
        def check(names: list[str]) -> None:
            core = Core(backoff=lambda failures: 1.0)
            machine = LifecycleMachine(core)
            for name in names:
                feed(machine, name)
            said = [type(command) for command in core.outbox]
            self.assert_alternate([kind for kind in said if kind in (Open, Close)], Open)
            self.assert_alternate([kind for kind in said if kind in (Ready, Lost)], Ready)

        check()

    def assert_alternate(self, kinds: list[type], first: type) -> None:
        """Assert that the list begins with ``first`` and never has the same twice in a row."""
        self.assertTrue(not kinds or kinds[0] is first)
        self.assertTrue(all(one is not other for one, other in pairwise(kinds)))
