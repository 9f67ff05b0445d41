"""Connections to the target, in use and waiting."""

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.proxy.deadlines import Deadlines
from rustbalance.proxy.failures import TooMany
from rustbalance.proxy.pool import CLOSING, Pool
from rustbalance.proxy.target import TargetConnection


class PoolTests(SynchronousTestCase):
    """At most four, of which two are kept for five seconds."""

    def setUp(self) -> None:
        """Make one that dials transports which only remember."""
        self.deadlines = Deadlines(1.0)
        self.dialled: list[TargetConnection] = []
        self.hangs = False
        self.pool = Pool(self.dial, self.deadlines, limit=4, size=2, idle=5.0)

    def dial(self) -> Deferred[TargetConnection]:
        """Connect at once, or never."""
        connection = TargetConnection()
        if not self.hangs:
            connection.makeConnection(StringTransport())
        self.dialled.append(connection)
        return connection.ready

    def take(self, *, fresh: bool = False) -> TargetConnection:
        """Return one."""
        return self.successResultOf(self.pool.take(fresh=fresh))

    def lose(self, connection: TargetConnection) -> None:
        """Let it end."""
        connection.connectionLost(Failure(ConnectionDone()))

    def pass_time(self, seconds: int) -> None:
        """Let ticks pass."""
        for _ in range(seconds):
            self.deadlines.tick()
            self.pool.expire()

    def test_latest_first(self) -> None:
        """The latest one given back is used next, unless a fresh one is wanted."""
        first, second = self.take(), self.take()
        self.pool.give_back(first)
        self.pool.give_back(second)
        self.assertIs(self.take(), second)
        self.assertNotIn(self.take(fresh=True), (first, second))
        self.assertEqual((self.pool.open, self.pool.idle), (3, 1))

    def test_renew(self) -> None:
        """When the way to the target has changed none that waits is used again, and those in use go on."""
        waits, works = self.take(), self.take()
        self.pool.give_back(waits)
        self.pool.renew()
        self.assertEqual((waits.transport.disconnecting, works.transport.disconnecting), (True, False))
        self.assertNotIn(self.take(), (waits, works))

    def test_limit(self) -> None:
        """D-55: past the limit there is none; idle ones make room for a fresh one."""
        taken = [self.take() for _ in range(4)]
        self.failureResultOf(self.pool.take(), TooMany)
        self.pool.give_back(taken[0])
        self.take(fresh=True)
        self.assertTrue(taken[0].transport.disconnecting)
        self.lose(taken[1])
        self.take()

    def test_attempts_count(self) -> None:
        """Attempts count, and those that are cancelled do not any more."""
        self.hangs = True
        attempts = [self.pool.take() for _ in range(4)]
        self.failureResultOf(self.pool.take(), TooMany)
        for attempt in attempts:
            attempt.cancel()
            self.failureResultOf(attempt, CancelledError)
        self.assertEqual(self.pool.open, 0)

    def test_age(self) -> None:
        """Idle ones go after their time; in use they stay."""
        used, idle = self.take(), self.take()
        self.pool.give_back(idle)
        self.pass_time(4)
        self.assertEqual(self.pool.idle, 1)
        self.pass_time(2)
        self.assertEqual((self.pool.idle, self.pool.open), (0, 1))
        self.assertTrue(idle.transport.disconnecting)
        self.assertFalse(used.transport.disconnecting)

    def test_more_than_are_kept(self) -> None:
        """The third one given back is closed."""
        for connection in [self.take() for _ in range(3)]:
            self.pool.give_back(connection)
        self.assertEqual((self.pool.idle, self.pool.open), (2, 2))

    def test_held(self) -> None:
        """A connection that was held back reads again, or the next request on it would hang for ever."""
        connection = self.take()
        connection.hold()
        self.pool.give_back(connection)
        self.assertEqual(connection.transport.producerState, "producing")

    def test_ended(self) -> None:
        """One that has ended is not kept, whenever it ended."""
        before, after = self.take(), self.take()
        before.readConnectionLost()
        self.pool.give_back(before)
        self.assertEqual(self.pool.idle, 0)
        self.pool.give_back(after)
        self.lose(after)
        self.assertEqual((self.pool.idle, self.pool.open), (0, 0))

    def test_does_not_close(self) -> None:
        """One that does not close in time is aborted."""
        connection = self.take()
        self.pool.retire(connection)
        self.pass_time(int(CLOSING) - 1)
        self.assertFalse(connection.transport.disconnected)
        self.pass_time(1)
        self.assertTrue(connection.transport.disconnected)

    def test_close(self) -> None:
        """Closing ends all of them and says when; afterwards there are none, until it opens again."""
        used, idle = self.take(), self.take()
        self.pool.give_back(idle)
        closing = self.pool.close()
        self.assertNoResult(closing)
        self.lose(used)
        self.lose(idle)
        self.successResultOf(closing)
        self.failureResultOf(self.pool.take(), TooMany)
        self.pool.reopen()
        self.take()

    def test_lost_at_once(self) -> None:
        """One that was lost while it became ready is a failure, not a connection."""
        self.hangs = True
        taking = self.pool.take()
        self.dialled[0].lost = True
        self.dialled[0].ready.callback(self.dialled[0])
        self.failureResultOf(taking, ConnectionError)
        self.assertEqual(self.pool.open, 0)
