"""
Two Tors of one node, of which one is used at a time.

Owns: hearing what becomes of them, performing what ``rustbalance.tor.pairing`` commands, and looking at what has
failed. In: the two instances, and word of streams that one did not take; out: ``active``, where to take connections,
and a call to everybody who wants to know when that changes.
"""

from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger, LogLevel

from rustbalance.life import Hurried, Periodic, Tasks
from rustbalance.ops.status import PairStatus
from rustbalance.tor.control import ControlError, TorControl
from rustbalance.tor.events import Event
from rustbalance.tor.failures import TorFailure
from rustbalance.tor.instance import TorInstance
from rustbalance.tor.knocking import Place, knock
from rustbalance.tor.pairing import Command, Core, PairingMachine, Say, Side, Use
from rustbalance.tor.performing import Performer

#: Seconds between two looks at what has failed, and for a SOCKS port to answer one.
LOOK = 2.0

Listener = Callable[[TorInstance | None], None]


class TorPair(Service):
    """
    ``primary`` and perhaps ``standby``, started and stopped together.

    ``spare``: where a standby takes outgoing connections that is nothing else to us. Each instance lives its own life;
    here it is only decided which one is used.
    """

    log = Logger()

    def __init__(
        self, primary: TorInstance, standby: TorInstance | None, reactor: Any, spare: Place | None = None
    ) -> None:
        self.setName("tor")
        self.primary = primary
        self.standby = standby
        self._reactor = reactor
        self._instances = {Side.PRIMARY: primary} | ({} if standby is None else {Side.STANDBY: standby})
        self._places = {side: instance.socks for side, instance in self._instances.items()}
        if spare is not None:
            self._places[Side.STANDBY] = spare
        self._side: Side | None = None
        self._told: TorInstance | None = None
        self._deaf: set[Side] = set()
        self._winding_down = False
        self._listeners: list[Listener] = []
        self._core = Core()
        self._machine = PairingMachine(self._core)
        self._feed = Performer(self._core.outbox, self._perform).feed
        self._tasks = Tasks(self.log)
        self._looks = Periodic("looks at Tor", LOOK, self._look, reactor)
        for side, instance in self._instances.items():
            instance.subscribe(_Ear(self, side))

    @property
    def active(self) -> TorInstance | None:
        """The instance to ask, None when none can be; a spare never can, so while it is used the primary is asked."""
        if self._side is Side.STANDBY and self.standby is None:
            return self.primary if self.primary.serving else None
        return None if self._side is None else self._instances[self._side]

    @property
    def other(self) -> TorInstance | None:
        """The instance that is not active, if it serves."""
        return next((one for one in self.instances if one is not self.active and one.serving), None)

    @property
    def instances(self) -> tuple[TorInstance, ...]:
        """Both, or the only one."""
        return tuple(self._instances.values())

    @property
    def socks(self) -> tuple[Place, ...]:
        """Where to take outgoing connections: to the first, and where that fails to the second."""
        sides = sorted(self._places, key=lambda side: (side in self._deaf, side is not self._side))
        return tuple(self._places[side] for side in sides if self._runs(side))

    def subscribe(self, listener: Listener) -> None:
        """Call ``listener`` whenever another instance becomes active, and now if one is."""
        self._listeners.append(listener)
        if self.active is not None:
            listener(self.active)

    def startService(self) -> None:
        """Start both."""
        super().startService()
        self._winding_down = False
        for instance in self.instances:
            instance.startService()
        if self._places.keys() - self._instances.keys():
            self.up(Side.STANDBY)
        self._looks.startService()

    def stopService(self) -> Deferred[Any]:
        """Stop both; the Deferred fires when nothing is left of either."""
        super().stopService()
        self._tasks.cancel()
        self._looks.stopService()
        return DeferredList([instance.stopService() for instance in self.instances])

    def wind_down(self) -> None:
        """Carry on for as long as it goes well; a stop is about to come."""
        self._winding_down = True
        for instance in self.instances:
            instance.wind_down()

    def hurry(self, seconds: float) -> None:
        """Both have so many seconds to stop."""
        for instance in self.instances:
            if isinstance(instance, Hurried):
                instance.hurry(seconds)

    def status(self) -> PairStatus:
        """Return who is used."""
        side = None if self._side is None else self._side.value
        return PairStatus(active=side, phase=self._machine.phase(), switches=self._core.switches)

    def socks_failed(self, place: Place, reason: str) -> None:
        """
        A stream found no SOCKS proxy at ``place`` that does its part; where it was to lead has nothing to do with it.

        The next streams go elsewhere at once. Whether the whole instance is left is decided by a look at it.
        """
        side = next((side for side, known in self._places.items() if known == place), None)
        if side is not None and side not in self._deaf and self._runs(side):
            self.log.debug("a stream through Tor ({side}) failed: {reason}", side=side.value, reason=reason)
            self._deaf.add(side)
            self._tasks.spawn("looking at a SOCKS port", self._knock(side))

    def up(self, side: Side) -> None:
        """It can be used."""
        self._feed(self._machine.primary_up if side is Side.PRIMARY else self._machine.standby_up)
        self._settle()

    def down(self, side: Side, failure: TorFailure, reason: str) -> None:
        """It cannot be used any more."""
        down = self._machine.primary_down if side is Side.PRIMARY else self._machine.standby_down
        self._feed(lambda: down(failure, reason))
        self._settle()

    def gone(self, side: Side, reason: str) -> None:
        """Its instance serves no longer; what comes after it begins anew."""
        self._deaf.discard(side)
        self.down(side, self._instances[side].failure or TorFailure.ENDED, reason)

    def _runs(self, side: Side) -> bool:
        """Tell whether it may take connections, as far as its control port says."""
        instance = self._instances.get(side)
        return instance is None or instance.serving

    def _perform(self, command: Command) -> None:
        match command:
            case Use(side):
                self._side = side
                self._tell()
            case Say(text, warning) if self.running and not self._winding_down:
                self.log.emit(LogLevel.warn if warning else LogLevel.info, "{text}", text=text)

    def _settle(self) -> None:
        """Tell of a primary that can be asked, or cannot any more, while a spare is used: no side changes by that."""
        if self.active is not self._told:
            self._tell()

    def _tell(self) -> None:
        self._told = self.active
        for listener in list(self._listeners):
            try:
                listener(self.active)
            except Exception:
                self.log.failure("who uses Tor could not take another one")

    async def _look(self) -> None:
        """Knock where a stream has failed, and at a primary that is to be used again."""
        suspects = set(self._deaf)
        if self._machine.phase() == "probation":
            suspects.add(Side.PRIMARY)
        for side in sorted(suspects):
            await self._knock(side)

    async def _knock(self, side: Side) -> None:
        if not self._runs(side):
            return
        reason = await knock(self._places[side], self._reactor, LOOK)
        if reason is not None:
            self._deaf.add(side)
            await self._lives(side)
        if not self._runs(side):
            return
        if reason is not None:
            self.down(side, TorFailure.SOCKS, reason)
        elif side in self._deaf:
            self._deaf.discard(side)
            self.up(side)
        elif side is Side.PRIMARY:
            self._feed(self._machine.looked)

    async def _lives(self, side: Side) -> None:
        """Ask for a sign of life: one that hangs altogether is not to be told by its SOCKS port."""
        instance = self._instances.get(side)
        control = None if instance is None else instance.control
        if instance is None or control is None:
            return
        try:
            await control.bootstrap()
        except ControlError as error:
            if control is instance.control:
                instance.failed(str(error), error.failure)


class _Ear:
    """Listens to one of the two."""

    def __init__(self, pair: TorPair, side: Side) -> None:
        self._pair = pair
        self._side = side

    def on_ready(self, control: TorControl) -> None:
        """Pass it on."""
        self._pair.up(self._side)

    def on_lost(self, reason: str) -> None:
        """Pass it on."""
        self._pair.gone(self._side, reason)

    def on_event(self, event: Event) -> None:
        """Nothing that Tor says changes anything here."""
