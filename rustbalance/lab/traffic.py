"""
Other people's traffic.

Owns: a Tor whose circuits go over every link between two relays, with a cell in either direction twice a second. In:
the include file of a network; out: links that are never still for long, as those between busy relays are.

A relay tells its neighbour that a circuit has ended with a DESTROY cell. Tor (0.4.9, circuitmux_append_destroy_cell)
sends it at once only when nothing else waits to go the same way, as the DESTROY of the circuit before it does; it then
lies there until a cell of some other circuit takes the same link. On links that nobody uses that is minutes, in which
an introduction point goes on saying yes for a service that is dead, and visitors wait for it in vain.
"""

import re
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.protocols.wire import Echo
from twisted.python.failure import Failure

from rustbalance.lab import torrc
from rustbalance.lab.control import ControlLink
from rustbalance.lab.routes import routes
from rustbalance.lab.tor import LabTor
from rustbalance.life import Tasks, pause, within
from rustbalance.proxy.socks import SocksAddress, SocksEndpoint

BEAT = 0.5
"""Seconds between two cells over each link."""
AGAIN = 1.0
"""Seconds until a route that broke is taken again."""
PATIENCE = 30.0
"""Seconds for a circuit to be built, and for a stream to be open."""


class Traffic:
    """Begin with ``start`` when the network is complete; ``talking`` is how many routes are in use."""

    log = Logger()

    def __init__(self, directory: Path, include: str, control_port: int, socks_port: int, reactor: Any) -> None:
        options = include + torrc.traffic(control_port, socks_port)
        self.talking = 0
        self._tor = LabTor("traffic", directory, options, reactor, control_port)
        self._socks = SocksAddress(port=socks_port)
        self._reactor = reactor
        self._tasks = Tasks(self.log)
        self._link: ControlLink | None = None
        self._listening: Any = None
        self._echo = 0
        self._built: dict[str, Deferred[None]] = {}

    def start(self) -> None:
        """Begin; the links come to life over the next seconds."""
        self._tor.start()
        self._tasks.spawn("the traffic", self._start())

    async def stop(self) -> None:
        """End everything."""
        self._tasks.cancel()
        link, self._link = self._link, None
        if link is not None:
            await link.close()
        listening, self._listening = self._listening, None
        if listening is not None:
            await maybeDeferred(listening.stopListening)
        await self._tor.stop()

    async def _start(self) -> None:
        echo = TCP4ServerEndpoint(self._reactor, 0, interface="127.0.0.1")
        listening = self._listening = await echo.listen(Factory.forProtocol(Echo))
        self._echo = int(listening.getHost().port)
        self._link = link = await self._tor.control()
        await link.listen("CIRC", self._circuit)
        await link.listen("STREAM", self._stream)
        while await link.ask("status/enough-dir-info") != "1":
            await pause(self._reactor, AGAIN)
        for route in routes([relay.fingerprint for relay in (await link.consensus()).relays]):
            self._tasks.spawn("a route of the traffic", self._keep_talking(link, route))

    async def _keep_talking(self, link: ControlLink, route: list[str]) -> None:
        while link is self._link:
            try:
                await self._talk(link, route)
            except CancelledError:
                raise
            except Exception as error:
                self.log.debug("a route of the traffic broke: {error!r}", error=error)
            await pause(self._reactor, AGAIN)

    async def _talk(self, link: ControlLink, route: list[str]) -> None:
        """Build a circuit along ``route`` and talk over it until it breaks."""
        circuit = (await link.send(f"EXTENDCIRCUIT 0 {','.join(route)}")).split()[-1]
        self._built[circuit] = Deferred()
        try:
            await within(PATIENCE, self._reactor, self._built[circuit])
        finally:
            self._built.pop(circuit, None)
        way = SocksEndpoint(self._reactor, self._socks, "127.0.0.1", self._echo, f"circuit-{circuit}", PATIENCE)
        talker = Talker()
        await way.connect(Factory.forProtocol(lambda: talker))
        self.talking += 1
        try:
            await talker.over
        finally:
            self.talking -= 1
            talker.hang_up()

    def _circuit(self, event: str) -> None:
        """Follow circuits (control-spec 4.1.1)."""
        circuit, status = event.split()[:2]
        waiting = self._built.get(circuit)
        if waiting is None or waiting.called:
            return
        if status == "BUILT":
            waiting.callback(None)
        elif status in ("FAILED", "CLOSED"):
            waiting.errback(ConnectionError(event))

    def _stream(self, event: str) -> None:
        """Send each new stream over the circuit that it was opened for (control-spec 4.1.2)."""
        wanted = re.match(r'(\d+) NEW .*SOCKS_USERNAME="circuit-(\d+)"', event)
        if wanted and self._link is not None:
            self._tasks.spawn("attaching a stream", self._link.send(f"ATTACHSTREAM {wanted[1]} {wanted[2]}"))


class Talker(Protocol):
    """Says a byte every ``BEAT`` seconds and hears it again; ``over`` fires when the connection is gone."""

    def __init__(self) -> None:
        self.over: Deferred[None] = Deferred()
        self.loop = LoopingCall(self._beat)

    def connectionMade(self) -> None:
        """Begin."""
        self.loop.start(BEAT)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """End."""
        if self.loop.running:
            self.loop.stop()
        if not self.over.called:
            self.over.callback(None)

    def hang_up(self) -> None:
        """Hang up."""
        if self.transport is not None:
            self.transport.loseConnection()

    def _beat(self) -> None:
        assert self.transport is not None
        self.transport.write(b".")
