"""Time for many connections."""

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.proxy.deadlines import NEVER, Deadlines


class Waiter:
    """Counts how often its time was over, and waits on."""

    def __init__(self, deadline: float, fails: bool = False) -> None:
        self.deadline = deadline
        self.struck = 0
        self.fails = fails

    def expire(self) -> None:
        """Count."""
        self.struck += 1
        self.deadline = NEVER
        if self.fails:
            raise RuntimeError("in expire")


class DeadlinesTests(SynchronousTestCase):
    """Who is overdue is told so, once, at the next tick."""

    def test_strikes(self) -> None:
        """Before its deadline nothing happens, after it once; what is forgotten is left alone."""
        deadlines = Deadlines(0.5)
        early, late, gone = Waiter(1.0), Waiter(NEVER), Waiter(1.0)
        for each in (early, late, gone):
            deadlines.watch(each)
        deadlines.forget(gone)
        deadlines.tick()
        self.assertEqual((deadlines.now, early.struck), (0.5, 0))
        for _ in range(5):
            deadlines.tick()
        self.assertEqual((early.struck, late.struck, gone.struck), (1, 0, 0))

    def test_moved(self) -> None:
        """A deadline that its owner moves strikes when it says now."""
        deadlines = Deadlines(1.0)
        waiter = Waiter(2.0)
        deadlines.watch(waiter)
        deadlines.tick()
        waiter.deadline = deadlines.now + 2.0
        deadlines.tick()
        self.assertEqual(waiter.struck, 0)
        deadlines.tick()
        self.assertEqual(waiter.struck, 1)

    def test_error(self) -> None:
        """An error in one is logged and keeps no other waiting."""
        deadlines = Deadlines(1.0)
        waiters = [Waiter(1.0, fails=number % 2 == 0) for number in range(6)]
        for each in waiters:
            deadlines.watch(each)
        deadlines.tick()
        self.assertEqual([each.struck for each in waiters], [1] * 6)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 3)
