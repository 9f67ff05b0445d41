"""
Programs that clean up, however they are told to end.

Owns: running a coroutine until the reactor stops, and noticing that standard input has closed. In: work and what
cleans up after it; out: nothing that still runs. ``react`` by itself forgets the work when a signal stops the reactor.
"""

import os
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from twisted.internet.abstract import FileDescriptor
from twisted.internet.defer import CancelledError
from twisted.internet.error import ReactorNotRunning
from twisted.internet.main import CONNECTION_DONE
from twisted.python.failure import Failure

from rustbalance.life import deferred

T = TypeVar("T")


async def until_stopped(
    reactor: Any, work: Coroutine[Any, Any, T], clean_up: Callable[[], Awaitable[None]]
) -> T | None:
    """
    Run ``work`` to its end and return its result, or None when the reactor was stopped before (as SIGINT does).

    ``clean_up`` is awaited in either case, and may be called more than once.
    """
    working = deferred(work)

    async def ending() -> None:
        working.cancel()
        await clean_up()

    reactor.addSystemEventTrigger("before", "shutdown", lambda: deferred(ending()))
    try:
        return await working
    except CancelledError:
        return None
    finally:
        await clean_up()


class InputEnds(FileDescriptor):
    """Calls ``then`` when the other end of descriptor ``number`` closes; what is written there is thrown away."""

    def __init__(self, number: int, reactor: Any, then: Callable[[], None]) -> None:
        super().__init__(reactor)
        self._number = number
        self._then = then

    def fileno(self) -> int:
        """Return the descriptor, for the reactor."""
        return self._number

    def doRead(self) -> Exception | None:  # noqa: N802  (the name is Twisted's)
        """Throw away what came; nothing at all is the end (a pipe's end may also be reported without a read)."""
        return None if os.read(self._number, 4096) else CONNECTION_DONE

    def connectionLost(self, reason: Failure) -> None:
        """Say so; a reactor that stops loses all its connections, and is not to be stopped again."""
        super().connectionLost(reason)
        with suppress(ReactorNotRunning):
            self._then()
