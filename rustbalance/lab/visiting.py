"""
Visits that go on while other things happen.

Owns: visiting an address about once a second, one visit at a time. In: a visitor; out: ``VisitLog``, and the moments
in which no visit is under way.
"""

from collections.abc import Awaitable
from typing import Any

from twisted.internet.defer import Deferred, succeed

from rustbalance.lab.client import Visitor
from rustbalance.lab.visits import VisitLog
from rustbalance.life import deferred, pause

PACE = 1.0


class Visiting:
    """``begin`` it, and ``end`` it some time later; each visit has circuits of its own, the descriptor is kept."""

    def __init__(self, visitor: Visitor, onion: str, reactor: Any) -> None:
        self._visitor = visitor
        self._onion = onion
        self._reactor = reactor
        self._log = VisitLog(reactor.seconds())
        self._running: Deferred[None] | None = None
        self._going = self._under_way = False
        self._waiting: list[Deferred[None]] = []

    def begin(self) -> None:
        """Visit from now on."""
        self._going = True
        self._running = deferred(self._visit())

    def between(self) -> Awaitable[None]:
        """Return what fires when no visit is under way; what is done at once then is done between two visits."""
        if not self._under_way:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        return waiting

    async def end(self) -> VisitLog:
        """Let the visit under way be the last one, and return how all of them went."""
        self._going = False
        running, self._running = self._running, None
        if running is not None:
            await running
        return self._log

    async def _visit(self) -> None:
        while self._going:
            due = self._reactor.seconds() + PACE
            self._under_way = True
            visit = await self._visitor.fetch(self._onion)
            self._under_way = False
            self._log.record(self._reactor.seconds(), visit)
            self._tell()
            await pause(self._reactor, max(0.0, due - self._reactor.seconds()))

    def _tell(self) -> None:
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(None)
