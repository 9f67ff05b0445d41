"""Having the descriptor looked up anew, by a Tor in memory."""

import os

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.health.lookup import BESIDES, EACH, MOST, NoDescriptor, chosen, look_up
from rustbalance.life import deferred
from tests.publishing.looking import MASTER, Looking, planned
from tests.publishing.samples import A, B, C, D

ALL = (A, B, C, D)


class LookUpTests(SynchronousTestCase):
    """Four directories, asked in their order."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.tor = Looking(planned().first, ALL, self.clock)

    def look(self, directories: tuple[str, ...] = ALL, seconds: float = 30.0) -> Deferred[None]:
        """Begin."""
        assert self.tor.control is not None
        return deferred(look_up(self.tor.control, MASTER.address, directories, self.clock, seconds))

    def asked(self) -> list[str]:
        """Let everybody answer what is asked one after another; return who was asked."""
        asked: list[str] = []
        while new := self.tor.answer():
            asked += new
        return asked

    def test_the_first_that_gives_it(self) -> None:
        """Who has none is passed over, and nobody is asked after the one that has it."""
        self.tor.held = {B: 7, C: 7}
        found = self.look()
        self.assertEqual(self.asked(), [A, B])
        self.assertIsNone(self.successResultOf(found))

    def test_nobody_has_it(self) -> None:
        """A visitor would find nothing either."""
        found = self.look()
        self.assertEqual(self.asked(), list(ALL))
        self.assertIn("none of 4", str(self.failureResultOf(found, NoDescriptor).value))

    def test_chosen(self) -> None:
        """As many as a client asks, in any order, and two that would know if Tor were in the next period already."""
        visited, other = [f"v{n}" for n in range(8)], [f"o{n}" for n in range(8)]
        found = [tuple(chosen(visited, other, os.urandom)) for _ in range(50)]
        self.assertGreater(len(set(found)), 40)
        for each in found:
            self.assertEqual((len(set(each[:MOST])), len(set(each[MOST:]))), (MOST, BESIDES))
            self.assertTrue(set(each[:MOST]) <= set(visited) and set(each[MOST:]) <= set(other))
        self.assertEqual(chosen([], [], os.urandom), [])

    def test_silence(self) -> None:
        """One that does not answer is passed over; the whole has an end as well, and leaves nothing behind."""
        self.tor.deaf, self.tor.held = {A}, {B: 7}
        found = self.look()
        self.assertEqual(self.asked(), [A])
        self.clock.advance(EACH)
        self.assertEqual(self.asked(), [B])
        self.successResultOf(found)
        self.tor.deaf = set(ALL)
        found = self.look(seconds=25.0)
        for _ in range(5):
            self.tor.answer()
            self.clock.advance(5.0)
        self.assertIn("within 25 s", str(self.failureResultOf(found, NoDescriptor).value))
        self.assertEqual(self.clock.getDelayedCalls(), [])
