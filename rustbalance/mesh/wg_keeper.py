"""
Keeping the WireGuard interface as it should be.

Owns: when the interface is made, looked at, changed, and made anew. In: what it should be, from its owner; out: an
interface, and word to the owner when it comes, reports and goes.

One coroutine does everything to the interface, one thing after the other, so that nothing can come between: make it,
look at it every few seconds and whenever something has happened, and begin again when it is not as it should be.
"""

import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.logger import Logger, LogLevel

from rustbalance.life import Tasks, pause, within
from rustbalance.mesh.tunnel_addresses import TunnelAddress
from rustbalance.mesh.wg_config import Endpoint, WgPeer, difference, observed
from rustbalance.mesh.wg_interface import InterfaceFailed, Report, WgInterface
from rustbalance.tor.backoff import Backoff, exponential

CHECK_SECS = 5.0
"""Between two looks at the interface."""
STEADY_SECS = 60.0
"""An interface that has held for so long starts a new count of failures."""
MANY = 3
"""Failures in a row that are an error and no mere warning."""
BACKOFF = exponential(1.0, 10.0, random.SystemRandom().random)
"""Waits of up to 1 second and more, up to 10, so that an interface is back within 30."""


class Owner(Protocol):
    """Who wants the interface."""

    def tunnel_ip(self) -> TunnelAddress:
        """Return its address; when that changes, the interface is made anew."""

    def wanted(self) -> Mapping[str, WgPeer]:
        """Return its peers, by key."""

    def on_made(self) -> None:
        """
        Use it; it is as it should be.

        :raises Exception: it cannot be used, and has to be made anew.
        """

    def on_report(self, report: Report) -> None:
        """Hear what it reports."""

    def on_lost(self) -> None:
        """Use it no longer."""


class Bell:
    """Wakes the one who waits, or the next who does."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._rung = False
        self._waiting: Deferred[None] | None = None

    def ring(self) -> None:
        """Wake."""
        self._rung = True
        if self._waiting is not None and not self._waiting.called:
            self._waiting.callback(None)

    async def wait(self, seconds: float) -> None:
        """Return when it rings, has rung since the last time, or after ``seconds``."""
        if not self._rung:
            self._waiting = Deferred()
            with suppress(TimeoutError):
                await within(seconds, self._reactor, self._waiting)
        self._rung = False
        self._waiting = None


class Keeper:
    """
    Keeps ``interface`` for ``owner``.

    ``problem`` says why there is none now, None while there is; ``failures`` counts those in a row.
    """

    log = Logger()

    def __init__(
        self,
        interface: WgInterface,
        owner: Owner,
        reactor: Any,
        seconds: Callable[[], float],
        backoff: Backoff = BACKOFF,
    ) -> None:
        self.problem: str | None = f"the WireGuard interface {interface.name} is being made"
        self.failures = 0
        self._interface = interface
        self._owner = owner
        self._reactor = reactor
        self._seconds = seconds
        self._backoff = backoff
        self._bell = Bell(reactor)
        self._tasks = Tasks(self.log)
        self._told: dict[str, Endpoint | None] = {}
        self._made_at = 0.0
        self._forgotten: set[str] = set()
        self._doom: str | None = None
        interface.gone = self._bell.ring

    def start(self) -> None:
        """Make the interface, and keep it."""
        self._tasks.spawn("keeping the WireGuard interface", self._keep())

    def look(self) -> None:
        """Look at it now: something has changed."""
        self._bell.ring()

    def forget(self, key: str) -> None:
        """Take the peer with that key out, then in again."""
        self._forgotten.add(key)
        self.look()

    def rebuild(self, reason: str) -> None:
        """Make it anew, though nothing is wrong to look at."""
        if self.problem is None:
            self._doom = reason
            self.look()

    async def stop(self) -> None:
        """Take it down, whatever is under way."""
        self._tasks.cancel()
        self._lost("we stop")
        await self._interface.remove()

    async def _keep(self) -> None:
        while True:
            try:
                await self._serve()
                self._lost("our address inside the tunnel has changed")
            except CancelledError:
                raise
            except Exception as error:
                self.log.debug("the WireGuard interface failed: {error!r}", error=error)
                self.failures += 1
                delay = self._backoff(self.failures)
                self._report(str(error), delay)
                self._lost(str(error))
                await pause(self._reactor, delay)

    async def _serve(self) -> None:
        """Make the interface and look after it; return when our address changes."""
        address = self._owner.tunnel_ip()
        report = await self._make(address)
        while self._owner.tunnel_ip() == address:
            await self._update(report)
            self._owner.on_report(report)
            if self._seconds() - self._made_at >= STEADY_SECS:
                self.failures = 0
            await self._bell.wait(CHECK_SECS)
            report = await self._interface.check(address)
            doom, self._doom = self._doom, None
            if doom is not None:
                raise InterfaceFailed(doom)

    async def _make(self, address: TunnelAddress) -> Report:
        wanted = self._owner.wanted()
        await self._interface.make(address, tuple(wanted.values()))
        self._told = {key: peer.endpoint for key, peer in wanted.items()}
        report = await self._interface.check(address)
        self._owner.on_made()
        self._made_at = self._seconds()
        self.problem = None
        pid = self._interface.pid
        by = "the kernel" if pid is None else f"process {pid}"
        self.log.info("the WireGuard interface {name} is up ({by})", name=self._interface.name, by=by)
        return report

    async def _update(self, report: Report) -> None:
        """Bring the peers up to date, also when somebody else has changed them."""
        forgotten, self._forgotten = self._forgotten, set()
        wanted = {key: peer for key, peer in self._owner.wanted().items() if key not in forgotten}
        if forgotten:
            self.look()
        changes = difference(observed(report.allowed_ips, self._told), wanted)
        if changes:
            await self._interface.change(changes)
            self._told = {key: peer.endpoint for key, peer in wanted.items()}

    def _lost(self, reason: str) -> None:
        self.problem = f"the WireGuard interface {self._interface.name} is being made anew: {reason}"
        self._owner.on_lost()

    def _report(self, reason: str, delay: float) -> None:
        """Say that an interface is lost, and that it cannot be made: twice as a warning, then once as an error."""
        was_up = self.problem is None
        if self.failures < MANY:
            level = LogLevel.warn
        else:
            level = LogLevel.error if was_up or self.failures == MANY else LogLevel.debug
        self.log.emit(
            level,
            "the WireGuard interface {name} failed ({failures} in a row): {reason}; made anew in {delay:.1f} s",
            name=self._interface.name,
            failures=self.failures,
            reason=reason,
            delay=delay,
        )
