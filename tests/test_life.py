"""Tests for L{rustbalance.life}."""

from collections.abc import Callable
from threading import get_ident
from typing import TypeVar

from twisted.application.service import Service
from twisted.internet import reactor  # noqa: TID251  (real threads)
from twisted.internet.defer import CancelledError, Deferred, TimeoutError, fail
from twisted.internet.task import Clock
from twisted.logger import Logger, LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase, TestCase

from rustbalance.life import (
    Alarm,
    InTurn,
    OrderedServices,
    Periodic,
    Tasks,
    at_once,
    attentively,
    deferred,
    now,
    pause,
    threads,
    within,
)

T = TypeVar("T")


class Recorder(Service):
    """A service that notes when it stops and stops when told."""

    def __init__(self, name: str, order: list[str], answer: Deferred[None] | None = None) -> None:
        self.setName(name)
        self.order = order
        self.answer = answer

    def stopService(self) -> Deferred[None] | None:
        """Note the stop."""
        super().stopService()
        self.order.append(str(self.name))
        return self.answer


class Hurrying(Recorder):
    """One that never stops, though it is told how long it has."""

    def __init__(self, name: str, order: list[str], told: list[tuple[str, float]]) -> None:
        super().__init__(name, order, Deferred())
        self.told = told

    def hurry(self, seconds: float) -> None:
        """Note it."""
        self.told.append((str(self.name), seconds))


class OrderedServicesTests(SynchronousTestCase):
    """L{OrderedServices} stops children one by one."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.order: list[str] = []
        self.root = OrderedServices(self.clock, patience=5.0)

    def test_last_first_and_one_at_a_time(self) -> None:
        """A child is asked to stop only when those added after it are done."""
        slow: Deferred[None] = Deferred()
        for child in (Recorder("tor", self.order), Recorder("front", self.order, slow)):
            child.setServiceParent(self.root)
        self.root.startService()
        stopping = self.root.stopService()
        self.assertEqual(self.order, ["front"])
        slow.callback(None)
        self.assertEqual(self.order, ["front", "tor"])
        self.successResultOf(stopping)

    def test_a_child_that_overstays_is_left_behind(self) -> None:
        """A child that never stops holds the others up, but leaves them a twentieth each; it costs one line."""
        Recorder("tor", self.order).setServiceParent(self.root)
        Recorder("stuck", self.order, Deferred()).setServiceParent(self.root)
        self.root.startService()
        with capturedLogs() as logs:
            stopping = self.root.stopService()
            self.clock.advance(4.7)
            self.assertNoResult(stopping)
            self.clock.advance(0.1)
        self.successResultOf(stopping)
        self.assertEqual(self.order, ["stuck", "tor"])
        (said,) = [(event["log_level"], formatEvent(event)) for event in logs]
        self.assertEqual(said, (LogLevel.warn, "stuck has not stopped within 4.8 s; it is left behind"))

    def test_one_deadline_for_all(self) -> None:
        """However many children overstay, the whole takes no longer; each is told how much it has."""
        told: list[tuple[str, float]] = []
        for name in ("tor", "front", "publisher"):
            Hurrying(name, self.order, told).setServiceParent(self.root)
        self.root.startService()
        stopping = self.root.stopService()
        for _ in range(501):
            self.clock.advance(0.01)
        self.successResultOf(stopping)
        self.assertEqual([name for name, _ in told], ["publisher", "front", "tor"])
        for (_, seconds), expected in zip(told, (4.5, 0.25, 0.25), strict=True):
            self.assertApproximates(seconds, expected, 0.02)

    def test_error(self) -> None:
        """A child that fails to stop is an error with its traceback, and the others are stopped."""
        Recorder("tor", self.order).setServiceParent(self.root)
        Recorder("broken", self.order, fail(KeyError("oops"))).setServiceParent(self.root)
        self.root.startService()
        self.successResultOf(self.root.stopService())
        self.assertEqual(self.order, ["broken", "tor"])
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)


class PeriodicTests(SynchronousTestCase):
    """L{Periodic} keeps calling."""

    def test_survives_errors(self) -> None:
        """A job that raises is logged and called again at its next time."""
        calls = []
        clock = Clock()

        def job() -> None:
            calls.append(clock.seconds())
            raise ValueError("once more")

        periodic = Periodic("job", 10.0, job, clock)
        periodic.startService()
        clock.advance(10)
        clock.advance(10)
        periodic.stopService()
        clock.advance(100)
        self.assertEqual(calls, [0.0, 10.0, 20.0])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 3)

    def test_waits_for_an_asynchronous_job(self) -> None:
        """A job still under way is not started a second time."""
        calls = []
        clock = Clock()
        gate: Deferred[None] = Deferred()

        def job() -> Deferred[None]:
            calls.append(clock.seconds())
            return gate

        periodic = Periodic("job", 10.0, job, clock)
        periodic.startService()
        clock.advance(25)
        self.assertEqual(calls, [0.0])
        gate.callback(None)
        clock.advance(5)
        self.assertEqual(calls, [0.0, 30.0])
        periodic.stopService()


class TasksTests(SynchronousTestCase):
    """L{Tasks} forgets no coroutine."""

    log = Logger()

    def test_failures_are_logged(self) -> None:
        """An exception in a spawned coroutine reaches the log and the set empties."""
        tasks = Tasks(self.log)

        async def fail() -> None:
            raise KeyError("lost")

        self.successResultOf(tasks.spawn("work", fail()))
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.assertEqual(len(tasks), 0)

    def test_cancel_reaches_the_await(self) -> None:
        """Cancelling raises CancelledError inside, runs the finally block and logs nothing."""
        tasks = Tasks(self.log)
        seen = []

        async def wait() -> None:
            try:
                await Deferred()
            except CancelledError:
                seen.append("cancelled")
                raise

        tasks.spawn("work", wait())
        self.assertEqual(len(tasks), 1)
        tasks.cancel()
        self.assertEqual(seen, ["cancelled"])
        self.assertEqual(len(tasks), 0)


class DeadlineTests(SynchronousTestCase):
    """L{within} and L{pause}."""

    def test_within_gives_up(self) -> None:
        """Work that takes too long fails with TimeoutError and is cancelled."""
        clock = Clock()
        forever: Deferred[None] = Deferred()
        waiting = within(3.0, clock, forever)
        clock.advance(3.1)
        self.failureResultOf(waiting, TimeoutError)

    def test_within_passes_results(self) -> None:
        """Work that is quick enough gives its result and leaves no timer behind."""
        clock = Clock()

        async def quick() -> int:
            return 7

        self.assertEqual(self.successResultOf(within(3.0, clock, quick())), 7)
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_pause_can_be_cancelled(self) -> None:
        """A cancelled pause leaves no timer behind."""
        clock = Clock()
        waiting = pause(clock, 5.0)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_deferred_gives_the_result(self) -> None:
        """A coroutine's value comes through."""

        async def work() -> str:
            return "done"

        self.assertEqual(self.successResultOf(deferred(work())), "done")

    def test_now_advances_on_both_clocks(self) -> None:
        """Two readings are in order, and later() moves both kinds of time."""
        first, second = now(), now()
        self.assertLessEqual(first.mono, second.mono)
        self.assertEqual(first.later(2.0).wall - first.wall, 2.0)
        self.assertAlmostEqual(first.later(2.0).mono - first.mono, 2.0)


class AttentivelyTests(SynchronousTestCase):
    """L{attentively} gives deadlines that only pass while we look."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.work: Deferred[int] = Deferred()
        self.waiting = attentively(4.0, self.clock, self.work)

    def test_gives_up(self) -> None:
        """What is not done in time is cancelled, and nothing stays in the reactor."""
        self.clock.pump([1.0] * 3)
        self.assertNoResult(self.waiting)
        self.clock.advance(1.0)
        self.failureResultOf(self.waiting, TimeoutError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stood_still(self) -> None:
        """After an hour in which we did not run there is time left to read the answer."""
        self.clock.advance(3600)
        self.assertNoResult(self.waiting)
        self.work.callback(7)
        self.assertEqual(self.successResultOf(self.waiting), 7)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cancelled(self) -> None:
        """Who gives up the wait is not told of a deadline."""
        self.clock.advance(2.5)
        self.waiting.cancel()
        self.failureResultOf(self.waiting, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class AlarmTests(SynchronousTestCase):
    """L{Alarm} rings once."""

    def test_last_setting_counts(self) -> None:
        """It rings when it was last told to, and not at all when told not to."""
        clock, rung = Clock(), list[float]()
        alarm = Alarm(clock, lambda: rung.append(clock.seconds()))
        alarm.set(1)
        alarm.set(3)
        clock.pump([1.0] * 5)
        self.assertEqual(rung, [3.0])
        alarm.clear()
        alarm.set(1)
        alarm.clear()
        clock.advance(5)
        self.assertEqual(rung, [3.0])


class ThreadsTests(TestCase):
    """Work that would hold up the event loop."""

    async def test_another_thread(self) -> None:
        """It runs somewhere else, and what it returns or raises comes back."""
        in_thread = threads(reactor)
        self.assertNotEqual(await in_thread(get_ident), get_ident())
        self.assertEqual(await at_once(get_ident), get_ident())
        with self.assertRaises(ZeroDivisionError):
            await in_thread(lambda: 1 // 0)


class InTurnTests(SynchronousTestCase):
    """One piece of work after another."""

    def setUp(self) -> None:
        """Let each wait until it is told to go on."""
        self.holds: list[Deferred[None]] = []
        self.done: list[str] = []
        self.in_turn = InTurn(self.slow)

    async def slow(self, work: Callable[[], T], /) -> T:
        """Wait, then work."""
        self.holds.append(Deferred())
        await self.holds[-1]
        return work()

    def work(self, name: str) -> Deferred[None]:
        """Ask for something to be done."""
        return self.in_turn(lambda: self.done.append(name))

    def test_order(self) -> None:
        """What was asked for later begins when what came before is over, however that went."""
        first, second, third = self.work("a"), self.in_turn(lambda: 1 // 0), self.work("c")
        for number, result in enumerate((first, second, third)):
            self.assertEqual(len(self.holds), number + 1)
            self.assertNoResult(result)
            self.holds[number].callback(None)
        self.successResultOf(first)
        self.failureResultOf(second, ZeroDivisionError)
        self.successResultOf(third)
        self.assertEqual(self.done, ["a", "c"])

    def test_cancelled(self) -> None:
        """Who waits no longer is told so at once; the work is done all the same, and in its place."""
        first, second, third = self.work("a"), self.in_turn(lambda: 1 // 0), self.work("c")
        for given_up in (first, second):
            given_up.cancel()
            self.failureResultOf(given_up, CancelledError)
        for number in range(3):
            self.assertEqual(len(self.holds), number + 1)
            self.holds[number].callback(None)
        self.successResultOf(third)
        self.assertEqual(self.done, ["a", "c"])
