"""Visits in the background."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.lab.visiting import Visiting
from rustbalance.lab.visits import Visit
from rustbalance.life import deferred, pause


class Visits:
    """A visitor whose visits take a while; ``under_way`` counts them."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock, self._seconds = clock, seconds
        self.under_way = 0

    async def fetch(self, onion: str) -> Visit:
        self.under_way += 1
        await pause(self._clock, self._seconds)
        self.under_way -= 1
        return Visit(onion == "served.onion", self._seconds, 200)


class VisitingTests(SynchronousTestCase):
    """On a clock."""

    def visiting(self, seconds: float) -> Visiting:
        self.clock = Clock()
        self.visits = Visits(self.clock, seconds)
        visiting = Visiting(self.visits, "served.onion", self.clock)  # type: ignore[arg-type]
        visiting.begin()
        return visiting

    def test_pace(self) -> None:
        """One visit a second, and none after the one that was under way at the end."""
        visiting = self.visiting(0.25)
        self.clock.pump([0.25] * 40)
        ending = deferred(visiting.end())
        self.clock.pump([0.25] * 40)
        log = self.successResultOf(ending)
        self.assertEqual((log.visits, log.succeeded), (11, 11))

    def test_between(self) -> None:
        """What waits for a quiet moment gets one: at once, or when the visit under way has ended."""
        visiting = self.visiting(0.5)
        seen = []

        async def wait() -> None:
            await visiting.between()
            seen.append((self.clock.seconds(), self.visits.under_way))

        self.successResultOf(deferred(self.later(0.25, wait)))
        self.successResultOf(deferred(self.later(0.25, wait)))
        self.assertEqual(seen, [(0.5, 0), (0.75, 0)])

    async def later(self, seconds: float, what: object) -> None:
        """Let time pass around a wait."""
        self.clock.advance(seconds)
        waiting = deferred(what())  # type: ignore[operator]
        self.clock.advance(0.25)
        await waiting
