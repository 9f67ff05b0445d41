"""
One Tor that serves the address, whoever runs it.

Owns: performing what ``rustbalance.tor.lifecycle`` commands, watching the connection, and telling listeners. In: how
to open and close it, from ``ManagedTor`` or ``ExternalTor``; out: a control connection, events, and a status.
"""

import random
from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, Protocol

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, DeferredLock
from twisted.logger import Logger

from rustbalance.life import Alarm, Periodic, Tasks, deferred
from rustbalance.ops.status import InstanceStatus
from rustbalance.tor.backoff import Backoff, exponential
from rustbalance.tor.control import ControlLost, Patience, TorControl
from rustbalance.tor.events import BootstrapProgress, Event, ServicesReconfigured
from rustbalance.tor.failures import TorFailure, failure_of
from rustbalance.tor.lifecycle import (
    Close,
    Command,
    Core,
    LetSleep,
    LifecycleMachine,
    Lost,
    Open,
    Ready,
    Report,
    Stopped,
    Wake,
)
from rustbalance.tor.performing import Performer

#: Waits of 1 second and more, up to a minute, with jitter from the system's generator.
BACKOFF = exponential(1.0, 60.0, random.SystemRandom().random)
NOTHING_YET = BootstrapProgress(0, "starting", "not connected yet")


class Listener(Protocol):
    """Who uses an instance."""

    def on_ready(self, control: TorControl) -> None:
        """The instance serves; ``control`` is good until ``on_lost``."""

    def on_lost(self, reason: str) -> None:
        """It serves no longer."""

    def on_event(self, event: Event) -> None:
        """Tor says something, maybe before ``on_ready``."""


class TorInstance(Service):
    """
    The service around one Tor. ``control`` is its connection while there is one.

    ``socks`` is where it takes outgoing connections: the path of a Unix socket, or host and port. ``serves_visitors``:
    our onion service is on it, or will be. ``restartable``: somebody restarts it when it has failed.
    """

    log = Logger()
    mode: Literal["managed", "external"]
    socks: Path | tuple[str, int]
    serves_visitors = True
    restartable = True

    def __init__(self, name: str, reactor: Any, backoff: Backoff, patience: Patience) -> None:
        self.setName(name)
        self.control: TorControl | None = None
        self._reactor = reactor
        self._patience = patience
        self._core = Core(backoff, patience.introductions)
        self._machine = LifecycleMachine(self._core)
        self.feed = Performer(self._core.outbox, self._perform).feed
        self._listeners: list[Listener] = []
        self._tasks = Tasks(self.log)
        self._checking = DeferredLock()
        self._opening: Deferred[None] | None = None
        self._watch: Periodic | None = None
        self._alarm = Alarm(reactor, lambda: self.feed(self._machine.woken))
        self._stopped: list[Deferred[None]] = []
        self._bootstrap = NOTHING_YET
        self._opened = 0
        self._version: str | None = None
        self._problem: str | None = None

    @abstractmethod
    async def connect(self) -> TorControl:
        """
        Bring Tor up, where it is ours, and return a connection.

        :raises Exception: it cannot be; what the exception says becomes the problem.
        """

    @abstractmethod
    async def prepare(self, control: TorControl) -> None:
        """
        See to it that Tor has our service and publishes nothing.

        :raises Exception: as ``connect``.
        """

    async def look_after(self, control: TorControl) -> None:
        """
        See to it that our service is well; called at every sign of life, and when Tor's services have changed.

        :raises Exception: as ``connect``.
        """

    async def close(self) -> None:
        """End what ``connect`` began, as far as it came; the control connection is given up already."""

    @property
    def serving(self) -> bool:
        """Whether it can be used."""
        return self.control is not None and self._machine.phase() == "serving"

    @property
    def failure(self) -> TorFailure | None:
        """In which way it failed last; None when it has not, or serves again."""
        return None if self.serving else self._core.failure

    @property
    def pid(self) -> int | None:
        """The process id of a child."""
        return None

    def subscribe(self, listener: Listener) -> None:
        """Tell ``listener`` what happens from now on; when the instance serves already, at once."""
        self._listeners.append(listener)
        if self.control is not None and self.serving:
            listener.on_ready(self.control)

    def startService(self) -> None:
        """Begin; failures are retried for as long as the service runs."""
        super().startService()
        self.feed(self._machine.start)

    def stopService(self) -> Deferred[None]:
        """End; the Deferred fires when nothing is left of it."""
        super().stopService()
        stopped: Deferred[None] = Deferred()
        self._stopped.append(stopped)
        self.feed(self._machine.stop)
        return stopped

    def status(self) -> InstanceStatus:
        """Return the instance as the status page shows it."""
        return InstanceStatus(
            name=str(self.name),
            mode=self.mode,
            phase=self._machine.phase(),
            bootstrap_percent=self._bootstrap.percent,
            bootstrap_summary=self._bootstrap.summary,
            pid=self.pid,
            restarts=max(self._opened - 1, 0),
            tor_version=self._version,
            problem=self._problem or self._bootstrap.warning,
            failure=self.failure,
            serves_visitors=self.serves_visitors,
        )

    def failed(self, reason: str, failure: TorFailure = TorFailure.HUNG) -> None:
        """Note that something is wrong with what is open: it is closed and opened again, a child restarted."""
        self.feed(lambda: self._machine.failed(reason, failure))

    def counted(self, introductions: int) -> None:
        """Note how many introduction circuits Tor has."""
        self.feed(lambda: self._machine.counted(introductions, self._reactor.seconds()))

    def wind_down(self) -> None:
        """Carry on for as long as it goes well; a stop is about to come."""
        self.feed(self._machine.wind_down)

    def _perform(self, command: Command) -> None:
        match command:
            case Open():
                self._opened += 1
                self._opening = self._tasks.spawn(f"opening Tor ({self.name})", self._open())
            case Close():
                self._tasks.spawn(f"closing Tor ({self.name})", self._close())
            case Ready():
                self._ready()
            case Lost(reason):
                self._tell(lambda listener: listener.on_lost(reason))
            case Report(reason, delay):
                self._report(reason, delay)
            case Wake(delay):
                self._alarm.set(delay)
            case LetSleep():
                self._alarm.clear()
            case Stopped():
                stopped, self._stopped = self._stopped, []
                for waiting in stopped:
                    waiting.callback(None)

    def _report(self, reason: str, delay: float) -> None:
        self._problem = reason
        self.log.warn(
            "Tor ({name}) failed: {reason}; next attempt in {delay:.1f} s", name=self.name, reason=reason, delay=delay
        )

    async def _open(self) -> None:
        try:
            control = self.control = await self.connect()
            control.subscribe(lambda event: self._heard(control, event))
            control.disconnected.addCallback(lambda reason: self._failed_on(control, ControlLost(reason)))
            await self.prepare(control)
            await control.listen()
        except CancelledError:
            raise
        except Exception as error:
            self.log.debug("opening Tor ({name}) failed: {error!r}", name=self.name, error=error)
            self._opening = None
            self.failed(str(error), failure_of(error))
            return
        self._version = control.version
        self.feed(self._machine.attached)
        self._watch = Periodic("watch", self._patience.check, lambda: self._check(control), self._reactor)
        self._watch.startService()

    async def _check(self, control: TorControl) -> None:
        """Look for a sign of life, one look after another: two at a time could both find the service missing."""
        if self._checking.waiting or control is not self.control:
            return
        await self._checking.run(lambda: deferred(self._look(control)))

    async def _look(self, control: TorControl) -> None:
        try:
            self._progressed(control, await control.bootstrap())
            await self.look_after(control)
        except Exception as error:
            self._failed_on(control, error)

    def _failed_on(self, control: TorControl, error: Exception) -> None:
        if control is self.control:
            self.failed(str(error), failure_of(error))

    def _heard(self, control: TorControl, event: Event) -> None:
        if control is not self.control:
            return
        if isinstance(event, BootstrapProgress):
            self._progressed(control, event)
        if isinstance(event, ServicesReconfigured):
            self._tasks.spawn(f"looking after Tor ({self.name})", self._check(control))
        self._tell(lambda listener: listener.on_event(event))

    def _progressed(self, control: TorControl, progress: BootstrapProgress) -> None:
        if control is not self.control:
            return
        if progress.percent != self._bootstrap.percent:
            self.log.info(
                "Tor ({name}) bootstrap {percent} % ({summary})",
                name=self.name,
                percent=progress.percent,
                summary=progress.summary,
            )
            self.feed(self._machine.progressed)
        self._bootstrap = progress
        if progress.percent == 100:
            self.feed(self._machine.bootstrapped)

    def _ready(self) -> None:
        control = self.control
        if control is None:
            return
        self._problem = None
        self.log.info("Tor ({name}) serves, version {version}", name=self.name, version=self._version)
        self._tell(lambda listener: listener.on_ready(control))

    async def _close(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
        if self._watch is not None:
            self._watch.stopService()
        control, self.control = self.control, None
        if control is not None:
            control.abandon("we closed the control connection")
        self._bootstrap = NOTHING_YET
        try:
            await self.close()
        finally:
            self.feed(self._machine.ended)

    def _tell(self, what: Callable[[Listener], None]) -> None:
        for listener in list(self._listeners):
            try:
                what(listener)
            except Exception:
                self.log.failure("a listener of Tor ({name}) failed", name=self.name)
