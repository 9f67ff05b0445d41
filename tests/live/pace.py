"""Visitors that come at a steady pace, whatever happens to those before them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredList

from rustbalance.lab.visits import Visit
from rustbalance.life import deferred, pause


@dataclass(frozen=True)
class Timed:
    """A visit with the seconds on the reactor's clock at which it began and ended."""

    began: float
    ended: float
    visit: Visit


class Pace:
    """Calls C{come} every C{seconds} between C{begin} and C{end}; C{done} has how each went."""

    def __init__(self, come: Callable[[], Awaitable[Visit]], seconds: float) -> None:
        self.done: list[Timed] = []
        self._come = come
        self._seconds = seconds
        self._going = False
        self._under_way: set[Deferred[None]] = set()
        self._running: Deferred[None] | None = None

    def begin(self) -> None:
        """Let them come from now on."""
        self._going = True
        self._running = deferred(self._run())

    async def end(self) -> None:
        """Let nobody else come, and wait for those who have."""
        self._going = False
        if self._running is not None:
            await self._running
        await DeferredList(list(self._under_way))

    def since(self, moment: float) -> list[Timed]:
        """Return those that began then or later."""
        return [timed for timed in self.done if timed.began >= moment]

    def failures(self, since: float) -> list[str]:
        """Return what went wrong with those that began then or later."""
        bad = [timed for timed in self.since(since) if not timed.visit.ok]
        return [
            f"{one.began - since:.1f} s: {one.visit.error or one.visit.status}, {one.visit.seconds:.1f} s"
            for one in bad
        ]

    def stalled(self, since: float, patience: float) -> float:
        """
        Return after how many seconds all was well again.

        That is when the last of those began that ended badly, or took longer than C{patience} seconds.
        """
        bad = [one.began for one in self.since(since) if not one.visit.ok or one.visit.seconds > patience]
        return max(bad, default=since) - since

    def first(self, since: float) -> float | None:
        """Return after how many seconds the first of those ended well, None as long as none has."""
        ended = [timed.ended for timed in self.since(since) if timed.visit.ok]
        return min(ended) - since if ended else None

    async def _run(self) -> None:
        while self._going:
            self._under_way.add(deferred(self._one()))
            await pause(reactor, self._seconds)

    async def _one(self) -> None:
        began = reactor.seconds()
        visit = await self._come()
        self.done.append(Timed(began, reactor.seconds(), visit))
