"""
The proxy as a service.

Owns: the visitors' connections from the first to the last. In: settings and where Tor's SOCKS port is; out: a listener
that Tor brings visitors to, and ``ProxyStatus``. On stop it accepts nobody else, lets running requests finish for a
while, and breaks off the rest.
"""

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, Final

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
from rustbalance.proxy.listening import Entrance, describe, listen, stop_listening
from rustbalance.proxy.pages import Intercept, answer_reserved
from rustbalance.proxy.pool import CLOSING, Pool
from rustbalance.proxy.request import parse_request
from rustbalance.proxy.settings import OnionTarget, ProxySettings
from rustbalance.proxy.shared import Shared
from rustbalance.proxy.stream import QuietFactory
from rustbalance.proxy.visitor import Refusal, Visitor

MAIN: Final = ""
"""The name of the entrance that ``ProxySettings`` has."""
NO_OTHERS: Final[Mapping[str, Entrance]] = MappingProxyType({})


class Front(Service):
    """
    Serves visitors from the target.

    ``socks`` says where Tor's SOCKS port is at the moment (None: no Tor is ready; needed for onion targets only).
    ``intercept`` sees every request first and may answer it. ``target`` is what is known of the target. ``others`` are
    more places where visitors come in, each with an intercept of its own.
    """

    log = Logger()

    def __init__(
        self,
        settings: ProxySettings,
        socks: Socks,
        reactor: Any,
        intercept: Intercept = answer_reserved,
        others: Mapping[str, Entrance] = NO_OTHERS,
    ) -> None:
        self.setName("front")
        self._settings = settings
        self._reactor = reactor
        self._visitors: set[Visitor] = set()
        self._entrances = {MAIN: Entrance(settings.listen, intercept), **others}
        self._ports: dict[str, Any] = {}
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
        self._shared = Shared(settings, settings.place, deadlines, pool, self.target)
        self._clock = Periodic("deadlines", settings.tick, self._tick, reactor)

    @property
    def address(self) -> str:
        """
        Where Tor finds us, in the form of HiddenServicePort.

        :raises RuntimeError: not while it is not listening.
        """
        return self.address_of(MAIN)

    def address_of(self, name: str) -> str:
        """
        Return where Tor finds the entrance ``name``, or the main one if there is none of that name.

        :raises RuntimeError: not while it is not listening.
        """
        if not self._ports:
            raise RuntimeError("the front does not listen")
        place = name if name in self._entrances else MAIN
        return describe(self._entrances[place].listen, self._ports[place])

    def status(self) -> ProxyStatus:
        """Return the figures for the status page."""
        tally = self._shared.tally
        return ProxyStatus(
            listening=self.address if self._ports else None,
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

    def renew(self) -> None:
        """Take new connections to the target from now on: the way there has changed. Running requests go on."""
        self._shared.pool.renew()

    def privilegedStartService(self) -> None:
        """
        Listen, before anybody is told where.

        :raises twisted.internet.error.CannotListenError: the place is taken, or cannot be used.
        """
        super().privilegedStartService()
        self._shared.stopping = False
        self._shared.pool.reopen()
        for name, entrance in self._entrances.items():
            build = partial(self.build, entrance.intercept)
            self._ports[name] = listen(entrance.listen, QuietFactory(build), self._reactor)

    def startService(self) -> None:
        """
        Listen, unless that is done, and look at deadlines.

        :raises twisted.internet.error.CannotListenError: as ``privilegedStartService``.
        """
        if not self._ports:
            self.privilegedStartService()
        self._clock.startService()
        super().startService()
        self.log.info("Visitors are awaited at {address}", address=self.address)

    def stopService(self) -> Deferred[None]:
        """Stop as described; the Deferred fires when the last connection is closed."""
        super().stopService()
        return deferred(self._stop())

    async def _stop(self) -> None:
        ports, self._ports = self._ports, {}
        self._shared.stopping = True
        for port in ports.values():
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

    def build(self, intercept: Intercept) -> Protocol:
        """Return the protocol for one more connection of a visitor, whose requests ``intercept`` sees first."""
        self._shared.tally.connections += 1
        if len(self._visitors) >= self._settings.max_visitors:
            return Refusal()
        visitor = Visitor(self._shared, self._left, intercept)
        self._visitors.add(visitor)
        return visitor

    def _left(self, visitor: Visitor) -> None:
        self._visitors.discard(visitor)
        if not self._visitors and self._gone is not None and not self._gone.called:
            self._gone.callback(None)

    def _tick(self) -> None:
        self._shared.deadlines.tick()
        self._shared.pool.expire()
        for visitor in list(self._visitors) if self.target.turns_away else ():
            visitor.turn_away()
