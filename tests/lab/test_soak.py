"""The soak's pace, figures and verdict."""

import io
import sys

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from rustbalance.lab.calendar import Day, Segment, day_at
from rustbalance.lab.soak import LEAST_OF_MANY, LEAST_PERCENT, Soak
from rustbalance.lab.visits import Visit
from rustbalance.life import deferred, pause


class Client:
    """A client whose network is at the beginning of a day when the clock is at 0."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.may_forget = True

    async def day(self) -> Day:
        return day_at(480 * 1000 + int(self._clock.seconds()), 20)


class Visits:
    """A visitor whose visits take ``seconds``, and fail while the clock is within ``broken``."""

    def __init__(self, clock: Clock, seconds: float, broken: tuple[float, float]) -> None:
        self._clock, self._seconds, self._broken = clock, seconds, broken
        self.addresses: list[str] = []

    async def fetch(self, onion: str, *, fresh_descriptor: bool) -> Visit:
        self.addresses.append(onion)
        await pause(self._clock, self._seconds)
        broken = self._broken[0] <= self._clock.seconds() < self._broken[1]
        return Visit(not broken, self._seconds, 503 if broken else 200)


class SoakTests(SynchronousTestCase):
    """Simulated minutes."""

    def soak(
        self,
        seconds: float,
        *,
        visit: float = 0.25,
        broken: tuple[float, float] = (0, 0),
        least: float = LEAST_PERCENT,
    ) -> Soak:
        clock = Clock()
        self.patch(sys, "stdout", io.StringIO())
        soak = Soak(Client(clock), "served.onion", clock, least)  # type: ignore[arg-type]
        self.visits = Visits(clock, visit, broken)
        soak._visitor = self.visits  # type: ignore[assignment]
        running = deferred(soak.run(seconds))
        clock.pump([0.25] * int(seconds * 4 + 8))
        self.successResultOf(running)
        return soak

    def test_all_well(self) -> None:
        """A visit each second, over both segments."""
        soak = self.soak(480)
        self.assertEqual(soak.all.visits, 480)
        self.assertEqual(soak.of[Segment.SRV_TO_PERIOD].visits, 240)
        self.assertEqual(set(self.visits.addresses), {"served.onion"})
        self.assertTrue(soak.verdict()[0])

    def test_slow_visits_do_not_pile_up(self) -> None:
        """The next visit begins when the one before has ended, however late."""
        self.assertEqual(self.soak(60, visit=3.0).all.visits, 20)

    def test_too_long_a_gap(self) -> None:
        """Eleven seconds without a page are too many, whatever the share."""
        well, summary = self.soak(480 * 8, broken=(100, 111)).verdict()
        self.assertFalse(well)
        self.assertIn("MISSED", summary)

    def test_too_many_failures(self) -> None:
        """One visit in a hundred is too many, though the gap is short."""
        soak = self.soak(200, broken=(100, 102))
        self.assertLess(soak.all.longest_gap(200), 10)
        self.assertFalse(soak.verdict()[0])

    def test_more_is_asked_of_many(self) -> None:
        """Two failed visits in five hundred are few for one node, and too many for several."""
        self.assertTrue(self.soak(500, broken=(100, 102)).verdict()[0])
        self.assertFalse(self.soak(500, broken=(100, 102), least=LEAST_OF_MANY).verdict()[0])

    def test_figures(self) -> None:
        """They come twice a minute, and failures at once."""
        self.soak(62, broken=(10, 11))
        said = sys.stdout.getvalue().splitlines()  # type: ignore[union-attr]
        self.assertIn("FAILED in segment SRV to TP", said[0])
        self.assertIn("503", said[0])
        self.assertEqual(len(said), 3)
        self.assertIn("p50 0.25", said[2])
