"""
The proxy as a service.

Owns: the visitors' connections from the first to the last. In: settings and where Tor's SOCKS port is; out: a listener
that Tor brings visitors to, and ``ProxyStatus``. On stop it accepts nobody else, lets running requests finish for a
while, and breaks off the rest.
"""

from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeadlinePassed
from twisted.internet.protocol import Protocol
from twisted.logger import Logger

from rustbalance.life import Periodic, deferred, pause, within
from rustbalance.ops.status import ProxyStatus
from rustbalance.proxy.asking import ask
from rustbalance.proxy.deadlines import Deadlines
from rustbalance.proxy.dialing import Dialer, Socks
from rustbalance.proxy.health import TargetHealth
from rustbalance.proxy.listening import describe, listen, stop_listening
from rustbalance.proxy.pages import Intercept, answer_reserved
from rustbalance.proxy.pool import CLOSING, Pool
from rustbalance.proxy.request import parse_request
from rustbalance.proxy.settings import OnionTarget, ProxySettings
from rustbalance.proxy.shared import Shared
from rustbalance.proxy.stream import QuietFactory
from rustbalance.proxy.visitor import Refusal, Visitor


class Front(Service):
    """
    Serves visitors from the target.

    ``socks`` says where Tor's SOCKS port is at the moment (None: no Tor is ready; needed for onion targets only).
    ``intercept`` sees every request first and may answer it. ``target`` is what is known of the target.
    """

    log = Logger()

    def __init__(
        self, settings: ProxySettings, socks: Socks, reactor: Any, intercept: Intercept = answer_reserved
    ) -> None:
        self.setName("front")
        self._settings = settings
        self._reactor = reactor
        self._visitors: set[Visitor] = set()
        self._port: Any = None
        self._gone: Deferred[None] | None = None
        deadlines = Deadlines(settings.tick)
        pool = Pool(
            Dialer(settings, socks, reactor).dial,
            deadlines,
            settings.max_connections,
            settings.pool_size,
            settings.pool_idle,
        )
        self.target = TargetHealth()
        self._shared = Shared(settings, settings.place, deadlines, pool, self.target, intercept)
        self._clock = Periodic("deadlines", settings.tick, self._tick, reactor)

    @property
    def address(self) -> str:
        """
        Where Tor finds us, in the form of HiddenServicePort.

        :raises RuntimeError: not while it is not listening.
        """
        if self._port is None:
            raise RuntimeError("the front does not listen")
        return describe(self._settings.listen, self._port)

    def status(self) -> ProxyStatus:
        """Return the figures for the status page."""
        tally = self._shared.tally
        return ProxyStatus(
            listening=None if self._port is None else self.address,
            connections_active=len(self._visitors),
            connections_total=tally.connections,
            requests_total=tally.requests,
            bytes_in=tally.bytes_in,
            bytes_out=tally.bytes_out,
            target_healthy=self.target.healthy,
        )

    async def ask(self, path: str, host: str, seconds: float) -> int:
        """
        Return the status that the target answers with, asked as a visitor of ``host`` would.

        ``seconds`` is for the answer and, unless Tor leads to the target, for the connection as well; through Tor that
        has as long as it has for visitors.

        :raises rustbalance.proxy.asking.Unanswered: it did not answer.
        """
        request = parse_request(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("ascii"))
        settings = self._settings
        patient = isinstance(settings.target, OnionTarget)
        way = settings.connect_timeout if patient else min(seconds, settings.connect_timeout)
        return (await ask(self._shared, request, self._reactor, way, seconds)).status

    def privilegedStartService(self) -> None:
        """
        Listen, before anybody is told where.

        :raises twisted.internet.error.CannotListenError: the place is taken, or cannot be used.
        """
        super().privilegedStartService()
        self._shared.stopping = False
        self._shared.pool.reopen()
        self._port = listen(self._settings.listen, QuietFactory(self.build), self._reactor)

    def startService(self) -> None:
        """
        Listen, unless that is done, and look at deadlines.

        :raises twisted.internet.error.CannotListenError: as ``privilegedStartService``.
        """
        if self._port is None:
            self.privilegedStartService()
        self._clock.startService()
        super().startService()
        self.log.info("Visitors are awaited at {address}", address=self.address)

    def stopService(self) -> Deferred[None]:
        """Stop as described; the Deferred fires when the last connection is closed."""
        super().stopService()
        return deferred(self._stop())

    async def _stop(self) -> None:
        port, self._port = self._port, None
        self._shared.stopping = True
        if port is not None:
            await stop_listening(port)
        for visitor in list(self._visitors):
            visitor.drain()
        if self._visitors:
            await self._drained()
        await within(CLOSING, self._reactor, self._shared.pool.close())
        self._clock.stopService()

    async def _drained(self) -> None:
        try:
            await within(self._settings.drain_timeout, self._reactor, self._all_gone())
        except DeadlinePassed:
            self._break_off()
            await self._all_gone()
        await pause(self._reactor, self._settings.afterglow)

    def _break_off(self) -> None:
        self.log.info("{count} connections of visitors are broken off", count=len(self._visitors))
        for visitor in list(self._visitors):
            visitor.abort()

    async def _all_gone(self) -> None:
        if self._visitors:
            self._gone = Deferred()
            await self._gone

    def build(self) -> Protocol:
        """Return the protocol for one more connection of a visitor."""
        self._shared.tally.connections += 1
        if len(self._visitors) >= self._settings.max_visitors:
            return Refusal()
        visitor = Visitor(self._shared, self._left)
        self._visitors.add(visitor)
        return visitor

    def _left(self, visitor: Visitor) -> None:
        self._visitors.discard(visitor)
        if not self._visitors and self._gone is not None and not self._gone.called:
            self._gone.callback(None)

    def _tick(self) -> None:
        self._shared.deadlines.tick()
        self._shared.pool.expire()
