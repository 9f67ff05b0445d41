"""
Several visitors at once, while something happens.

Owns: one visit after the other by each, on circuits of its own. In: visitors, an address; out: every visit with its
times, and the figures of all.
"""

from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred

from rustbalance.lab.client import Visitor
from rustbalance.lab.visits import Visit, percentile
from rustbalance.life import deferred, pause

PAUSE = 0.1
#: Seconds that a visit may take, and for which it is worth while to try again.
LONGEST, SHORTEST = 30.0, 1.0


@dataclass(frozen=True)
class Made:
    """A visit, from when to when on the reactor's clock; C{lost}: what came at its first tries instead of a page."""

    began: float
    ended: float
    visit: Visit
    lost: tuple[str, ...] = ()


class Crowd:
    """
    C{count} visitors, each at a visit nearly all the time between C{start} and C{finish}.

    A visit may take C{LONGEST} seconds; who gets an error before that tries again, as people do.
    """

    def __init__(self, visitors: Visitor, onion: str, reactor: Any, count: int = 4) -> None:
        self.visits: list[Made] = []
        self._visitors = visitors
        self._onion = onion
        self._reactor = reactor
        self._count = count
        self._wanted = 0
        self._going = True
        self._running: list[Deferred[None]] = []

    def start(self) -> None:
        """Begin."""
        self._running = [deferred(self._visit()) for _ in range(self._count)]

    async def finish(self, at_least: int = 0) -> None:
        """Go on until there were so many visits; those under way are the last."""
        self._wanted, self._going = at_least, False
        for running in self._running:
            await running

    def abandon(self) -> None:
        """Break off; for a test that has failed."""
        for running in self._running:
            running.addErrback(lambda _: None)
            running.cancel()

    async def _visit(self) -> None:
        while self._going or len(self.visits) < self._wanted:
            self.visits.append(await self._one())
            await pause(self._reactor, PAUSE)

    async def _one(self) -> Made:
        began = self._reactor.seconds()
        lost: list[str] = []
        while True:
            visit = await self._visitors.fetch(self._onion)
            ended = self._reactor.seconds()
            if visit.ok or ended > began + LONGEST - SHORTEST:
                return Made(began, ended, visit, tuple(lost))
            lost.append(visit.error or f"status {visit.status}")
            await pause(self._reactor, PAUSE)

    @property
    def failed(self) -> list[Made]:
        """Those that got no page."""
        return [made for made in self.visits if not made.visit.ok]

    def complaints(self, since: float) -> str:
        """Return what those got instead that got no page, and when they began."""
        return "; ".join(
            f"{made.began - since:+.1f} s: {made.visit.error or made.visit.status}" for made in self.failed
        )

    def __str__(self) -> str:
        seconds = [made.ended - made.began for made in self.visits if made.visit.ok]
        p50, p99, longest = (percentile(seconds, share) for share in (0.5, 0.99, 1.0))
        again = [error for made in self.visits if made.visit.ok for error in made.lost]
        return (
            f"{len(self.visits)} visits, {len(self.failed)} failed; seconds p50 {p50:.2f}, p99 {p99:.2f}, "
            f"longest {longest:.2f}; tried again after: {again}"
        )
