"""
The life of one Tor instance.

Owns: the order of things between start and stop, as a machine. In: what happened; out: commands on ``core.outbox``,
which ``rustbalance.tor.instance`` performs. Pure.

A managed instance is a child process, an external one only a connection: the machine does not know the difference.
Every way back to ``starting`` leads through ``ending``, so nothing of the last attempt is left when the next begins.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from automat import TypeMachineBuilder

from rustbalance.tor.backoff import Backoff
from rustbalance.tor.failures import TorFailure

#: Seconds without progress after which a bootstrap counts as stuck.
BOOTSTRAP_STALL = 600.0
#: Seconds of service after which earlier failures are forgotten.
SETTLED = 60.0


@dataclass(frozen=True)
class Open:
    """Start Tor where it is ours, connect, see to the service; then say ``attached`` or ``failed``."""


@dataclass(frozen=True)
class Close:
    """Give up the connection, end Tor where it is ours; then say ``ended``."""


@dataclass(frozen=True)
class Ready:
    """Tell everybody that this instance serves."""


@dataclass(frozen=True)
class Lost:
    """Tell everybody that it serves no longer."""

    reason: str


@dataclass(frozen=True)
class Report:
    """Tell the operator what went wrong and that the next attempt comes in ``delay`` seconds."""

    reason: str
    delay: float


@dataclass(frozen=True)
class Wake:
    """Say ``woken`` in ``delay`` seconds; it takes the place of any earlier one."""

    delay: float


@dataclass(frozen=True)
class LetSleep:
    """Forget the wake-up call."""


@dataclass(frozen=True)
class Stopped:
    """It is over, as asked."""


Command = Open | Close | Ready | Lost | Report | Wake | LetSleep | Stopped


class Lifecycle(Protocol):
    """What may happen to an instance."""

    def start(self) -> None:
        """The daemon starts."""

    def stop(self) -> None:
        """The daemon stops."""

    def attached(self) -> None:
        """Tor runs, is connected and has our service."""

    def progressed(self) -> None:
        """The bootstrap has moved on."""

    def bootstrapped(self) -> None:
        """The bootstrap is complete."""

    def failed(self, reason: str, failure: TorFailure) -> None:
        """An attempt came to nothing, the connection broke, the process ended or Tor hangs."""

    def ended(self) -> None:
        """Nothing of the instance is left."""

    def woken(self) -> None:
        """The time asked for is over."""

    def counted(self, introductions: int, at: float) -> None:
        """Tor has that many introduction circuits at the time ``at`` (seconds of any clock that is steady)."""

    def wind_down(self) -> None:
        """The daemon is about to stop: what breaks now is neither mended nor worth a word."""

    def phase(self) -> str:
        """Return the word for the status page."""


@dataclass
class Core:
    """
    What every state knows: ``failures`` in a row, the wait before the next attempt, and what to do now.

    ``failure``: the class of the last one.
    ``fruitless``: seconds that Tor may serve without introduction circuits; ``without_since``: when it had the last.
    """

    backoff: Backoff
    fruitless: float = 120.0
    failures: int = 0
    failure: TorFailure | None = None
    delay: float = 0.0
    without_since: float | None = None
    winding_down: bool = False
    outbox: list[Command] = field(default_factory=list)

    def fail(self, reason: str, failure: TorFailure) -> None:
        """Count a failure and clear up after it."""
        self.failures, self.failure = self.failures + 1, failure
        self.delay = self.backoff(self.failures)
        told = [] if self.winding_down else [Report(reason, self.delay)]
        self.outbox += [*told, LetSleep(), Close()]


class _States:
    """The states, so that the transitions can be told in chapters."""

    def __init__(self, machine: TypeMachineBuilder[Lifecycle, Core]) -> None:
        self.stopped = machine.state("stopped")
        self.starting = machine.state("starting")
        self.bootstrapping = machine.state("bootstrapping")
        self.serving = machine.state("serving")
        self.ending = machine.state("ending")
        self.waiting = machine.state("waiting")
        self.stopping = machine.state("stopping")
        self.restarting = machine.state("restarting")


def _build() -> Callable[[Core], Lifecycle]:
    machine = TypeMachineBuilder(Lifecycle, Core)
    states = _States(machine)
    _rise(states)
    _fall(states)
    _stop(states)
    _phases(states)
    _stale_news(states)
    return machine.build()


def _rise(states: _States) -> None:
    @states.stopped.upon(Lifecycle.start).to(states.starting)
    def begin_at_all(inputs: Lifecycle, core: Core) -> None:
        core.winding_down = False
        core.outbox.append(Open())

    @states.waiting.upon(Lifecycle.woken).to(states.starting)
    def begin(inputs: Lifecycle, core: Core) -> None:
        core.outbox.append(Open())

    @states.starting.upon(Lifecycle.attached).to(states.bootstrapping)
    @states.bootstrapping.upon(Lifecycle.progressed).loop()
    def allow_time(inputs: Lifecycle, core: Core) -> None:
        core.outbox.append(Wake(BOOTSTRAP_STALL))

    @states.bootstrapping.upon(Lifecycle.bootstrapped).to(states.serving)
    def serve(inputs: Lifecycle, core: Core) -> None:
        core.without_since = None
        core.outbox += [Wake(SETTLED), Ready()]

    @states.serving.upon(Lifecycle.woken).loop()
    def settle(inputs: Lifecycle, core: Core) -> None:
        core.failures = 0


def _fall(states: _States) -> None:
    @states.bootstrapping.upon(Lifecycle.woken).loop()
    def give_up(inputs: Lifecycle, core: Core) -> None:
        inputs.failed(f"its bootstrap has not moved for {BOOTSTRAP_STALL:.0f} s", TorFailure.NOT_BOOTSTRAPPED)

    @states.serving.upon(Lifecycle.counted).loop()
    def count(inputs: Lifecycle, core: Core, introductions: int, at: float) -> None:
        if introductions or core.without_since is None:
            core.without_since = None if introductions else at
        elif at - core.without_since >= core.fruitless:
            inputs.failed(f"it has had no introduction points for {core.fruitless:g} s", TorFailure.NO_INTRODUCTIONS)

    @states.starting.upon(Lifecycle.failed).to(states.ending)
    @states.bootstrapping.upon(Lifecycle.failed).to(states.ending)
    def fail(inputs: Lifecycle, core: Core, reason: str, failure: TorFailure) -> None:
        core.fail(reason, failure)

    @states.serving.upon(Lifecycle.failed).to(states.ending)
    def lose(inputs: Lifecycle, core: Core, reason: str, failure: TorFailure) -> None:
        core.outbox.append(Lost(reason))
        core.fail(reason, failure)

    @states.ending.upon(Lifecycle.ended).to(states.waiting)
    def wait(inputs: Lifecycle, core: Core) -> None:
        if not core.winding_down:
            core.outbox.append(Wake(core.delay))


def _stop(states: _States) -> None:
    states.ending.upon(Lifecycle.stop).to(states.stopping).returns(None)
    states.restarting.upon(Lifecycle.stop).to(states.stopping).returns(None)
    states.stopping.upon(Lifecycle.stop).loop().returns(None)
    states.stopping.upon(Lifecycle.start).to(states.restarting).returns(None)

    @states.starting.upon(Lifecycle.wind_down).loop()
    @states.bootstrapping.upon(Lifecycle.wind_down).loop()
    @states.serving.upon(Lifecycle.wind_down).loop()
    @states.ending.upon(Lifecycle.wind_down).loop()
    def mend_no_more(inputs: Lifecycle, core: Core) -> None:
        core.winding_down = True

    @states.waiting.upon(Lifecycle.wind_down).loop()
    def wait_no_more(inputs: Lifecycle, core: Core) -> None:
        core.winding_down = True
        core.outbox.append(LetSleep())

    @states.starting.upon(Lifecycle.stop).to(states.stopping)
    @states.bootstrapping.upon(Lifecycle.stop).to(states.stopping)
    def finish(inputs: Lifecycle, core: Core) -> None:
        core.outbox += [LetSleep(), Close()]

    @states.serving.upon(Lifecycle.stop).to(states.stopping)
    def withdraw(inputs: Lifecycle, core: Core) -> None:
        core.outbox += [Lost("it is being stopped"), LetSleep(), Close()]

    @states.waiting.upon(Lifecycle.stop).to(states.stopped)
    @states.stopping.upon(Lifecycle.ended).to(states.stopped)
    @states.stopped.upon(Lifecycle.stop).loop()
    def end(inputs: Lifecycle, core: Core) -> None:
        core.outbox += [LetSleep(), Stopped()]

    @states.restarting.upon(Lifecycle.ended).to(states.starting)
    def begin_again(inputs: Lifecycle, core: Core) -> None:
        core.winding_down = False
        core.outbox += [Stopped(), Open()]


def _phases(states: _States) -> None:
    for state, word in (
        (states.stopped, "stopped"),
        (states.starting, "starting"),
        (states.bootstrapping, "bootstrapping"),
        (states.serving, "serving"),
        (states.ending, "waiting"),
        (states.waiting, "waiting"),
        (states.stopping, "stopped"),
        (states.restarting, "starting"),
    ):
        state.upon(Lifecycle.phase).loop().returns(word)


def _stale_news(states: _States) -> None:
    """News of what is no longer asked for, or has been dealt with, is normal and not an error."""
    start, attached, progressed = Lifecycle.start, Lifecycle.attached, Lifecycle.progressed
    bootstrapped, ended, woken = Lifecycle.bootstrapped, Lifecycle.ended, Lifecycle.woken
    for state, stale in (
        (states.stopped, (attached, progressed, bootstrapped, ended, woken)),
        (states.starting, (start, progressed, bootstrapped, ended, woken)),
        (states.bootstrapping, (start, attached, ended)),
        (states.serving, (start, attached, progressed, bootstrapped, ended)),
        (states.ending, (start, attached, progressed, bootstrapped, woken)),
        (states.waiting, (start, attached, progressed, bootstrapped, ended)),
        (states.stopping, (attached, progressed, bootstrapped, woken)),
        (states.restarting, (start, attached, progressed, bootstrapped, woken)),
    ):
        for late in stale:
            state.upon(late).loop().returns(None)
    over = (states.stopped, states.ending, states.waiting, states.stopping, states.restarting)
    for state in over:
        state.upon(Lifecycle.failed).loop().returns(None)
    for state in (*over, states.starting, states.bootstrapping):
        state.upon(Lifecycle.counted).loop().returns(None)
    for state in (states.stopped, states.stopping, states.restarting):
        state.upon(Lifecycle.wind_down).loop().returns(None)


LifecycleMachine = _build()
