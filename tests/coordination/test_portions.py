"""Tests for L{rustbalance.coordination.portions}."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from rustbalance.cluster.messages import Forgotten, LeaseRelease, Message, NodeId, PeerAnnounce
from rustbalance.coordination.portions import PORTION, hear_in_turns, in_turns, portions, split
from rustbalance.life import pause
from tests.cluster.group import record
from tests.proxy.wire import reactor


class SplitTests(SynchronousTestCase):
    """A message in portions says what it said as a whole."""

    @settings(deadline=None)
    @given(st.integers(0, 130), st.integers(0, 130))
    def test_nothing_lost(self, members: int, former: int) -> None:
        """All records are there, in their order, the forgotten ones first, and never too many at once."""
        records = tuple(record(f"n{number}") for number in range(members))
        forgotten = tuple(Forgotten(record(f"f{number}"), number) for number in range(former))
        parts = split(PeerAnnounce(records=records, forgotten=forgotten))
        announced = [part for part in parts if isinstance(part, PeerAnnounce)]
        self.assertEqual(len(announced), len(parts))
        self.assertEqual(tuple(each for part in announced for each in part.records), records)
        self.assertEqual(tuple(each for part in announced for each in part.forgotten), forgotten)
        self.assertLessEqual(max(len(part.records) + len(part.forgotten) for part in announced), PORTION)
        if members + former > PORTION:
            kinds = [bool(part.records) for part in announced]
            self.assertEqual(kinds, sorted(kinds))

    def test_whole(self) -> None:
        """What is short, and any other message, stays as it is."""
        short = PeerAnnounce(records=(record("a"),))
        for message in (short, LeaseRelease(term=4)):
            self.assertEqual(split(message), [message])
        self.assertEqual(portions(()), [])


class InTurnsTests(TestCase):
    """Others have their turn between two portions."""

    async def test_one_at_a_time(self) -> None:
        """The first portion is taken at once, each other one when the event loop has been round once more."""
        heard: list[tuple[NodeId, Message]] = []
        hear = hear_in_turns(reactor, lambda sender, message: heard.append((sender, message)))
        hear("a", PeerAnnounce(records=tuple(record(f"n{number}") for number in range(3 * PORTION))))
        for turn in range(1, 4):
            self.assertEqual([sender for sender, _ in heard], turn * ["a"])
            await pause(reactor, 0)
        self.assertEqual(len(heard), 3)

    def test_a_portion_that_fails(self) -> None:
        """The others are taken all the same."""
        clock, done = Clock(), list[float]()
        self.assertRaises(ZeroDivisionError, in_turns, clock, lambda number: done.append(1 / number), [0, 1, 2])
        clock.advance(0)
        clock.advance(0)
        self.assertEqual(done, [1.0, 0.5])

    def test_nothing(self) -> None:
        """Nothing to do is nothing to wait for."""
        clock = Clock()
        in_turns(clock, self.fail, [])
        self.assertEqual(clock.getDelayedCalls(), [])
