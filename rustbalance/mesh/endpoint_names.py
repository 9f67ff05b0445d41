"""
Names of endpoints.

Owns: looking up the host names of peers' endpoints before wg(8) sees them (it would wait 72 s for one that does not
exist), beside everything else. In: endpoints; out: numeric ones, as soon as they are known.
"""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger

from rustbalance.life import Tasks
from rustbalance.mesh.wg_config import Endpoint

FRESH_SECS = 300.0
"""How long an answer is used before the name is looked up again."""
RETRY_SECS = 30.0
"""How long after a failure."""
AT_ONCE = 2
"""
Names that are looked up at the same time, each in a thread for as long as the resolver takes.

Where it does not answer that is half a minute, which nothing can cut short. Other parts need threads too: the state of
the cluster is written in one of the same pool, and nothing is said before it is on the disk.
"""

#: From host and port to an IP address; may block.
Lookup = Callable[[str, int], str]


def lookup(host: str, port: int) -> str:
    """
    Return the first IP address of ``host``; blocks.

    :raises OSError: it has none.
    """
    return str(socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0][4][0])


@dataclass
class _Entry:
    found: Endpoint | None
    again_at: float
    under_way: bool = False


class EndpointNames:
    """Numeric endpoints; ``changed`` is called when one that was asked for has become known or has moved."""

    log = Logger()

    def __init__(
        self, changed: Callable[[], None], reactor: Any, seconds: Callable[[], float], look: Lookup = lookup
    ) -> None:
        self._changed = changed
        self._reactor = reactor
        self._seconds = seconds
        self._look = look
        self._entries: dict[Endpoint, _Entry] = {}
        self._slots = DeferredSemaphore(AT_ONCE)
        self._tasks = Tasks(self.log)

    def numeric(self, endpoint: Endpoint | None) -> Endpoint | None:
        """Return ``endpoint`` with an IP address, or None as long as nobody knows one."""
        if endpoint is None or endpoint.numeric:
            return endpoint
        entry = self._entries.setdefault(endpoint, _Entry(None, self._seconds()))
        if entry.again_at <= self._seconds() and not entry.under_way:
            entry.under_way = True
            self._tasks.spawn("looking up an endpoint", self._resolve(endpoint, entry))
        return entry.found

    def keep_only(self, endpoints: set[Endpoint]) -> None:
        """Forget the other names."""
        for endpoint in self._entries.keys() - endpoints:
            del self._entries[endpoint]

    def stop(self) -> None:
        """Give up what is being looked up."""
        self._tasks.cancel()

    async def _resolve(self, endpoint: Endpoint, entry: _Entry) -> None:
        before = entry.found
        try:
            entry.found = Endpoint(await self._slots.run(self._in_thread, endpoint), endpoint.port)
        except CancelledError:
            raise
        except Exception as error:
            # What was found before stays: a peer may well be where it was.
            entry.again_at = self._seconds() + RETRY_SECS
            self.log.warn("cannot look up an endpoint: {error}", error=error)
            return
        finally:
            entry.under_way = False
        entry.again_at = self._seconds() + FRESH_SECS
        if entry.found != before:
            self._changed()

    def _in_thread(self, endpoint: Endpoint) -> Deferred[str]:
        pool = self._reactor.getThreadPool()
        return deferToThreadPool(self._reactor, pool, self._look, endpoint.host, endpoint.port)
