"""
Which of two Tors is used.

Owns: who is active, for control and for outgoing connections, as a machine. In: what becomes of either; out: commands
on ``core.outbox``, which ``rustbalance.tor.pair`` performs. Pure.

The standby takes over at once. The primary gets its place back only when several looks in a row have found it well, so
that one which comes and goes does not take everything with it each time. One that nobody has had to leave so far need
not prove itself: at the start the standby may simply have been the first.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from automat import TypeMachineBuilder

from rustbalance.tor.failures import TorFailure

#: Looks in a row that must find a primary well before it is used again.
PROBATION = 3


class Side(StrEnum):
    """One of the two; the names of the instances."""

    PRIMARY = "primary"
    STANDBY = "standby"


@dataclass(frozen=True)
class Use:
    """Use this one from now on; None: neither is usable."""

    side: Side | None


@dataclass(frozen=True)
class Say:
    """Tell the operator, as a warning where something has failed."""

    text: str
    warning: bool


Command = Use | Say


class Pairing(Protocol):
    """What may happen to the two."""

    def primary_up(self) -> None:
        """The primary is usable."""

    def primary_down(self, failure: TorFailure, reason: str) -> None:
        """It is not, or no longer."""

    def standby_up(self) -> None:
        """The standby is usable."""

    def standby_down(self, failure: TorFailure, reason: str) -> None:
        """It is not, or no longer."""

    def looked(self) -> None:
        """A look at the primary has found it well."""

    def proven(self) -> None:
        """The primary has been well for long enough."""

    def phase(self) -> str:
        """Return the word for the status page."""


@dataclass
class Core:
    """
    What every state knows: the good looks in a row, and what to do now.

    ``left``: what made us leave the primary, None as long as nothing has; ``switches``: how often that was.
    """

    looks: int = 0
    left: TorFailure | None = None
    switches: int = 0
    outbox: list[Command] = field(default_factory=list)

    def leave(self, failure: TorFailure, reason: str, where: str) -> None:
        """Note that the primary cannot be used."""
        self.left = failure
        port = "SOCKS" if failure is TorFailure.SOCKS else "control"
        self.outbox.append(Say(f"Primary Tor {port} port failed ({failure}): {reason}; {where}", warning=True))

    def come_back(self) -> None:
        """Use the primary again."""
        if self.left is not None:
            port = "SOCKS" if self.left is TorFailure.SOCKS else "control"
            self.outbox.append(Say(f"Primary Tor {port} port reconnected; it is used again", warning=False))
        self.left = None
        self.outbox.append(Use(Side.PRIMARY))


class _States:
    """The states: who is usable, and whether the primary is on probation."""

    def __init__(self, machine: TypeMachineBuilder[Pairing, Core]) -> None:
        self.neither = machine.state("neither")
        self.alone = machine.state("primary alone")
        self.both = machine.state("primary")
        self.standby = machine.state("standby")
        self.probation = machine.state("probation")


def _build() -> Callable[[Core], Pairing]:
    machine = TypeMachineBuilder(Pairing, Core)
    states = _States(machine)
    _rise(states)
    _fall(states)
    _no_news(states)
    for state in (states.neither, states.alone, states.both, states.standby, states.probation):
        state.upon(Pairing.phase).loop().returns("primary" if state is states.alone else state.name)
    return machine.build()


def _rise(states: _States) -> None:
    @states.neither.upon(Pairing.primary_up).to(states.alone)
    @states.probation.upon(Pairing.proven).to(states.both)
    def come_back(inputs: Pairing, core: Core) -> None:
        core.come_back()

    @states.neither.upon(Pairing.standby_up).to(states.standby)
    def take_over(inputs: Pairing, core: Core) -> None:
        core.switches += core.left is not None
        core.outbox.append(Use(Side.STANDBY))

    @states.standby.upon(Pairing.primary_up).to(states.probation)
    def try_out(inputs: Pairing, core: Core) -> None:
        core.looks = 0
        if core.left is None:
            inputs.proven()

    @states.probation.upon(Pairing.looked).loop()
    def count(inputs: Pairing, core: Core) -> None:
        core.looks += 1
        if core.looks >= PROBATION:
            inputs.proven()

    states.alone.upon(Pairing.standby_up).to(states.both).returns(None)


def _fall(states: _States) -> None:
    @states.both.upon(Pairing.primary_down).to(states.standby)
    def switch(inputs: Pairing, core: Core, failure: TorFailure, reason: str) -> None:
        core.leave(failure, reason, "trying standby")
        core.switches += 1
        core.outbox.append(Use(Side.STANDBY))

    @states.alone.upon(Pairing.primary_down).to(states.neither)
    def lose_all(inputs: Pairing, core: Core, failure: TorFailure, reason: str) -> None:
        core.leave(failure, reason, "there is no other")
        core.outbox.append(Use(None))

    @states.standby.upon(Pairing.standby_down).to(states.neither)
    def lose_the_last(inputs: Pairing, core: Core, failure: TorFailure, reason: str) -> None:
        core.outbox += [Say(f"Standby Tor failed ({failure}): {reason}; there is no other", warning=True), Use(None)]

    @states.probation.upon(Pairing.standby_down).to(states.alone)
    def go_back_early(inputs: Pairing, core: Core, failure: TorFailure, reason: str) -> None:
        core.outbox.append(Say(f"Standby Tor failed ({failure}): {reason}; back to the primary", warning=True))
        core.come_back()

    @states.both.upon(Pairing.standby_down).to(states.alone)
    def lose_the_other(inputs: Pairing, core: Core, failure: TorFailure, reason: str) -> None:
        core.outbox.append(Say(f"Standby Tor failed ({failure}): {reason}; the primary is alone", warning=True))

    states.probation.upon(Pairing.primary_down).to(states.standby).returns(None)


def _no_news(states: _States) -> None:
    """What is known already, or concerns no decision."""
    up, down, standby_up = Pairing.primary_up, Pairing.primary_down, Pairing.standby_up
    standby_down, looked, proven = Pairing.standby_down, Pairing.looked, Pairing.proven
    for state, known in (
        (states.neither, (down, standby_down, looked, proven)),
        (states.alone, (up, standby_down, looked, proven)),
        (states.both, (up, standby_up, looked, proven)),
        (states.standby, (down, standby_up, looked, proven)),
        (states.probation, (up, standby_up)),
    ):
        for one in known:
            state.upon(one).loop().returns(None)


PairingMachine = _build()
