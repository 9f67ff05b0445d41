"""
The publisher's seat, as seen by one node.

Owns: the steps between hearing nothing of a publisher and being it, and back. In: what the election and membership
concluded, and that a wait is over; out: steps on ``Seat.outbox``, which ``rustbalance.cluster.core`` carries out. Pure.

*standby*: somebody publishes. *suspect*: nobody's lease runs, and we leave it to the candidates before us. *claiming*:
we have said that we will, and may be contradicted. *publishing*. *stepping down*: we have let go, and leave the seat to
others until we hear of one or some time has passed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from automat import TypeMachineBuilder


@dataclass(frozen=True)
class Wait:
    """Say ``woken`` in so many seconds; it takes the place of an earlier wait. None: no more."""

    seconds: float | None


@dataclass(frozen=True)
class Claim:
    """Claim the next term."""


@dataclass(frozen=True)
class Publish:
    """Be the publisher."""


@dataclass(frozen=True)
class Withdraw:
    """Tell everybody that the claim is void."""


@dataclass(frozen=True)
class Cease:
    """Be the publisher no longer."""

    reason: str


Step = Wait | Claim | Publish | Withdraw | Cease


class Failover(Protocol):
    """What may happen."""

    def start(self) -> None:
        """Take part from now on."""

    def stop(self) -> None:
        """It ends, as asked."""

    def held(self) -> None:
        """Somebody else's lease runs."""

    def lapsed(self) -> None:
        """Nobody's lease runs, and this node may claim."""

    def outranked(self) -> None:
        """A claim stronger than ours was heard."""

    def barred(self) -> None:
        """Our node cannot publish, or should not."""

    def slept(self) -> None:
        """Our node was not running for as long as a lease lasts."""

    def woken(self) -> None:
        """The wait is over."""

    def phase(self) -> str:
        """Return the word for the status page."""


@dataclass
class Seat:
    """
    What every state knows.

    ``turn`` and ``grace`` return the seconds to leave to better candidates, and between claim and first publish;
    ``pause`` is how long one that let go stays away.
    """

    turn: Callable[[], float]
    grace: Callable[[], float]
    pause: float
    outbox: list[Step] = field(default_factory=list)


class _States:
    """The states, so that the transitions can be told in chapters."""

    def __init__(self, machine: TypeMachineBuilder[Failover, Seat]) -> None:
        self.stopped = machine.state("stopped")
        self.standby = machine.state("standby")
        self.suspect = machine.state("suspect")
        self.claiming = machine.state("claiming")
        self.publishing = machine.state("publishing")
        self.stepping_down = machine.state("stepping down")


def _build() -> Callable[[Seat], Failover]:
    machine = TypeMachineBuilder(Failover, Seat)
    states = _States(machine)
    _rise(states)
    _give_way(states)
    _let_go(states)
    _stop(states)
    _phases(states)
    _no_news(states)
    return machine.build()


def _rise(states: _States) -> None:
    states.stopped.upon(Failover.start).to(states.standby).returns(None)

    @states.standby.upon(Failover.lapsed).to(states.suspect)
    def wait_for_our_turn(inputs: Failover, seat: Seat) -> None:
        seat.outbox.append(Wait(seat.turn()))

    @states.suspect.upon(Failover.woken).to(states.claiming)
    def claim(inputs: Failover, seat: Seat) -> None:
        seat.outbox += [Claim(), Wait(seat.grace())]

    @states.claiming.upon(Failover.woken).to(states.publishing)
    def publish(inputs: Failover, seat: Seat) -> None:
        seat.outbox += [Wait(None), Publish()]

    states.stepping_down.upon(Failover.woken).to(states.standby).returns(None)


def _give_way(states: _States) -> None:
    @states.suspect.upon(Failover.held).to(states.standby)
    @states.suspect.upon(Failover.outranked).to(states.standby)
    @states.suspect.upon(Failover.barred).to(states.standby)
    @states.suspect.upon(Failover.slept).to(states.standby)
    @states.claiming.upon(Failover.outranked).to(states.standby)
    @states.stepping_down.upon(Failover.held).to(states.standby)
    def forget_the_wait(inputs: Failover, seat: Seat) -> None:
        seat.outbox.append(Wait(None))

    @states.claiming.upon(Failover.barred).to(states.standby)
    @states.claiming.upon(Failover.slept).to(states.standby)
    def take_the_claim_back(inputs: Failover, seat: Seat) -> None:
        seat.outbox += [Wait(None), Withdraw()]


def _let_go(states: _States) -> None:
    @states.publishing.upon(Failover.outranked).to(states.stepping_down)
    def yield_to_the_stronger(inputs: Failover, seat: Seat) -> None:
        seat.outbox += [Cease("a stronger claim was heard"), Wait(seat.pause)]

    @states.publishing.upon(Failover.barred).to(states.stepping_down)
    def hand_over(inputs: Failover, seat: Seat) -> None:
        seat.outbox += [Cease("this node cannot publish for the others now"), Withdraw(), Wait(seat.pause)]

    @states.publishing.upon(Failover.slept).to(states.stepping_down)
    def have_lost_it(inputs: Failover, seat: Seat) -> None:
        seat.outbox += [Cease("this node was not running for a while"), Withdraw(), Wait(seat.pause)]


def _stop(states: _States) -> None:
    @states.standby.upon(Failover.stop).to(states.stopped)
    @states.suspect.upon(Failover.stop).to(states.stopped)
    @states.stepping_down.upon(Failover.stop).to(states.stopped)
    def end(inputs: Failover, seat: Seat) -> None:
        seat.outbox.append(Wait(None))

    @states.claiming.upon(Failover.stop).to(states.stopped)
    def end_the_claim(inputs: Failover, seat: Seat) -> None:
        seat.outbox += [Wait(None), Withdraw()]

    @states.publishing.upon(Failover.stop).to(states.stopped)
    def release(inputs: Failover, seat: Seat) -> None:
        seat.outbox += [Cease("this node stops"), Withdraw(), Wait(None)]


def _phases(states: _States) -> None:
    for state, word in (
        (states.stopped, "stopped"),
        (states.standby, "standby"),
        (states.suspect, "suspect"),
        (states.claiming, "claiming"),
        (states.publishing, "publishing"),
        (states.stepping_down, "stepping down"),
    ):
        state.upon(Failover.phase).loop().returns(word)


def _no_news(states: _States) -> None:
    """What a state has heard already, or is none of its business."""
    start, stop, held, lapsed = Failover.start, Failover.stop, Failover.held, Failover.lapsed
    outranked, barred, slept, woken = Failover.outranked, Failover.barred, Failover.slept, Failover.woken
    for state, stale in (
        (states.stopped, (stop, held, lapsed, outranked, barred, slept, woken)),
        (states.standby, (start, held, outranked, barred, slept, woken)),
        (states.suspect, (start, lapsed)),
        (states.claiming, (start, held, lapsed)),
        (states.publishing, (start, held, lapsed, woken)),
        (states.stepping_down, (start, lapsed, outranked, barred, slept)),
    ):
        for each in stale:
            state.upon(each).loop().returns(None)


FailoverMachine = _build()
