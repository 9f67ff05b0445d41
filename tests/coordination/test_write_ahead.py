"""Tests for L{rustbalance.coordination.write_ahead}, with a disk that takes as long as a test wants."""

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.cluster.commands import (
    BecomePublisher,
    Command,
    Log,
    MembersChanged,
    Persist,
    PersistedState,
    Send,
    StepDown,
)
from rustbalance.cluster.messages import LeaseRelease
from rustbalance.coordination.write_ahead import MOST_WAITING, WriteAhead


def say(term: int) -> Send:
    """Return something to say."""
    return Send(None, LeaseRelease(term=term))


def keep(term: int) -> Persist:
    """Return something to keep."""
    return Persist(PersistedState(term=term))


class WriteAheadTests(SynchronousTestCase):
    """What waits for the disk, and what does not."""

    def setUp(self) -> None:
        """Note what is performed, and what is written."""
        self.done: list[Command] = []
        self.writes: list[tuple[int, Deferred[None]]] = []
        self.ahead = WriteAhead(self.write, self.done.append)

    def write(self, state: PersistedState) -> Deferred[None]:
        """Begin to write."""
        self.writes.append((state.term, Deferred()))
        return self.writes[-1][1]

    def written(self) -> None:
        """Be done with the last write."""
        self.writes[-1][1].callback(None)

    def test_without_a_disk(self) -> None:
        """What follows from nothing new is performed at once, in its order."""
        self.ahead.do([say(1), Log("info", "x"), BecomePublisher(1)])
        self.assertEqual(self.done, [say(1), Log("info", "x"), BecomePublisher(1)])

    def test_on_disk_before_it_is_said(self) -> None:
        """Messages and the seat wait for the state before them; what nobody else sees does not."""
        self.ahead.do([keep(1), say(1), BecomePublisher(1), MembersChanged(())])
        self.assertEqual((self.done, [term for term, _ in self.writes]), ([MembersChanged(())], [1]))
        self.ahead.do([say(2)])
        self.assertEqual(len(self.done), 1)
        self.written()
        self.assertEqual(self.done[1:], [say(1), BecomePublisher(1), say(2)])

    def test_one_write_for_many(self) -> None:
        """Of the states that come meanwhile the last is written, before anything that followed the first of them."""
        self.ahead.do([keep(1), say(1)])
        self.ahead.do([keep(2), say(2), keep(3), say(3)])
        self.written()
        self.assertEqual(([term for term, _ in self.writes], self.done), ([1, 3], [say(1)]))
        self.written()
        self.assertEqual(self.done, [say(1), say(2), say(3)])

    def test_a_disk_that_hangs(self) -> None:
        """
        What waits for the disk does not pile up: of states there is the last, of messages there are the latest ones,
        and the seat that was to be taken is still there.
        """
        self.ahead.do([keep(1), BecomePublisher(1)])
        for number in range(3 * MOST_WAITING):
            self.ahead.do([keep(2 + number), say(number)])
        self.assertEqual(self.ahead.waiting, MOST_WAITING)
        self.written()
        self.written()
        self.assertEqual([term for term, _ in self.writes], [1, 3 * MOST_WAITING + 1])
        self.assertEqual((self.done[0], self.done[-1]), (BecomePublisher(1), say(3 * MOST_WAITING - 1)))
        self.assertEqual((len(self.done), self.ahead.waiting), (MOST_WAITING - 1, 0))

    def test_stepping_down(self) -> None:
        """Who steps down does so at once, whatever the disk does, and does not take a seat that was waiting for it."""
        self.ahead.do([keep(1), BecomePublisher(1), say(1)])
        self.ahead.do([StepDown(1, "x")])
        self.assertEqual(self.done, [StepDown(1, "x")])
        self.written()
        self.assertEqual(self.done, [StepDown(1, "x"), say(1)])

    def test_idle(self) -> None:
        """One can wait until nothing is under way."""
        self.successResultOf(self.ahead.when_idle())
        self.ahead.do([keep(1), say(1)])
        idle = self.ahead.when_idle()
        self.assertNoResult(idle)
        self.written()
        self.successResultOf(idle)
        self.assertEqual(self.done, [say(1)])

    def test_errors(self) -> None:
        """What goes wrong, with the disk or elsewhere, is logged, and the rest goes on."""
        ahead = WriteAhead(self.write, self.fail_at)
        ahead.do([keep(1), say(1), say(2)])
        self.writes[-1][1].errback(ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.assertEqual(self.done, [say(2)])

    def fail_at(self, command: Command) -> None:
        """Fail for one command."""
        if command == say(1):
            raise ZeroDivisionError
        self.done.append(command)

    def test_commands_from_commands(self) -> None:
        """What performing leads to comes after what is being performed."""

        def perform(command: Command) -> None:
            self.done.append(command)
            if command == say(1):
                ahead.do([say(3)])

        ahead = WriteAhead(self.write, perform)
        ahead.do([say(1), say(2)])
        self.assertEqual(self.done, [say(1), say(2), say(3)])
