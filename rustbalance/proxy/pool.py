"""
Connections to the target, in use and waiting for use.

Owns: how many there are and which one is next. In: requests for one, and connections given back; out: connections. The
latest one given back is taken first, so that the rest grow old and go.
"""

from collections.abc import Callable

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from rustbalance.proxy.deadlines import Deadlines
from rustbalance.proxy.failures import TooMany
from rustbalance.proxy.target import TargetConnection

#: Seconds for what is written to leave, and for TLS to say goodbye.
CLOSING = 30.0


class Pool:
    """At most ``limit`` connections; up to ``size`` of them are kept when idle, each for ``idle`` seconds."""

    def __init__(
        self, dial: Callable[[], Deferred[TargetConnection]], deadlines: Deadlines, limit: int, size: int, idle: float
    ) -> None:
        self._dial = dial
        self._deadlines = deadlines
        self._limit = limit
        self._size = size
        self._idle_seconds = idle
        self._idle: list[TargetConnection] = []
        self._live: set[TargetConnection] = set()
        self._closing: set[TargetConnection] = set()
        self._opening = 0
        self._closed = False
        self._empty: Deferred[None] | None = None

    @property
    def open(self) -> int:
        """How many there are, idle ones and attempts included."""
        return len(self._live) + self._opening

    @property
    def idle(self) -> int:
        """How many wait for use."""
        return len(self._idle)

    def take(self, *, fresh: bool = False) -> Deferred[TargetConnection]:
        """
        Return a connection: an idle one, unless a ``fresh`` one is wanted, or a new one.

        The Deferred fails with ``TooMany``, or as the attempt does; cancelling it gives the attempt up.
        """
        if self._idle and not fresh:
            return succeed(self._idle.pop())
        if self.open >= self._limit and self._idle:
            self.retire(self._idle[0])
        if self.open >= self._limit or self._closed:
            return fail(TooMany("too many connections to the target"))
        self._opening += 1
        return self._dial().addCallbacks(self._opened, self._not_opened)

    def give_back(self, connection: TargetConnection) -> None:
        """Keep a connection on which an answer has just ended well; it must read, or its end would not be seen."""
        if connection.lost or connection.read_ended or self._closed or len(self._idle) >= self._size:
            self.retire(connection)
            return
        connection.detach()
        connection.release()
        connection.deadline = self._deadlines.now + self._idle_seconds
        self._idle.append(connection)

    def retire(self, connection: TargetConnection) -> None:
        """Close a connection when everything is written; it counts no more, and is aborted when that takes long."""
        self._gone(connection)
        connection.detach()
        connection.finish()
        if not connection.lost:
            connection.deadline = self._deadlines.now + CLOSING
            connection.gone = self._gone
            self._closing.add(connection)

    def expire(self) -> None:
        """Close those that have been idle for too long, abort those that have been closing for too long."""
        now = self._deadlines.now
        for connection in [each for each in self._idle if each.deadline <= now]:
            self.retire(connection)
        for connection in [each for each in self._closing if each.deadline <= now]:
            connection.abort()

    def renew(self) -> None:
        """Keep none of those that wait for use; those in use go on."""
        for connection in list(self._idle):
            self.retire(connection)

    def reopen(self) -> None:
        """Open connections again after ``close``."""
        self._closed = False

    def close(self) -> Deferred[None]:
        """End every connection and open no other; the Deferred fires when the last one is gone."""
        self._closed = True
        for connection in [*self._live, *self._closing]:
            connection.abort()
        if not self._live and not self._closing:
            return succeed(None)
        self._empty = Deferred()
        return self._empty

    def _opened(self, connection: TargetConnection) -> TargetConnection:
        self._opening -= 1
        if connection.lost:
            raise ConnectionError("lost as soon as it was there")
        self._live.add(connection)
        connection.gone = self._gone
        return connection

    def _not_opened(self, failure: Failure) -> Failure:
        self._opening -= 1
        return failure

    def _gone(self, connection: TargetConnection) -> None:
        self._live.discard(connection)
        self._closing.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if self._empty is not None and not self._live and not self._closing and not self._empty.called:
            self._empty.callback(None)
