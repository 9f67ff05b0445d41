"""
Directories that can be looked at, in memory.

Owns: a Tor in memory to look with, and what it is told by directories. In: what each directory holds; out: events.
"""

import os
from base64 import b64encode
from dataclasses import replace

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from rustbalance.life import deferred
from rustbalance.onion.descriptor import encode
from rustbalance.onion.keys import DescriptorSigningKey, MasterKey, subcredential
from rustbalance.onion.plan import PublicationPlan, Seat, SeatPlan
from rustbalance.secrets import Secret
from rustbalance.testing.fake_tor import FakeTor
from rustbalance.tor.control import TorControl, connect
from tests.publishing.samples import START, inner, plan
from tests.tor.connected import FakeEndpoint

MASTER = MasterKey.from_seed(Secret.copy_of(b"s" * 32))
TEXTS: dict[tuple[int, int], bytes] = {}


def planned(
    visited: Seat = Seat.FIRST, first: tuple[str, ...] | None = None, second: tuple[str, ...] | None = None
) -> PublicationPlan:
    """Return a plan whose blinded keys are those of C{MASTER}."""
    made = plan()
    seats = [
        replace(seat, blinded_public=MASTER.blind(seat.period).public, directories=directories or seat.directories)
        for seat, directories in zip(made, (first, second), strict=True)
    ]
    return replace(made, first=seats[0], second=seats[1], visited=visited)


def text(seat: SeatPlan, revision: int) -> bytes:
    """Return a descriptor for the period of C{seat}; the same one each time."""
    known = (seat.period.number, revision)
    if known not in TEXTS:
        blinded = MASTER.blind(seat.period)
        TEXTS[known] = encode(
            inner(1, 2, 3),
            blinded,
            subcredential(MASTER.public, blinded.public),
            revision=revision,
            now=int(START.wall),
            signing_key=DescriptorSigningKey(Secret.copy_of(b"d" * 32)),
            random_bytes=os.urandom,
        )
    return TEXTS[known]


def key(seat: SeatPlan) -> str:
    """Return the blinded key as an event has it."""
    return b64encode(seat.blinded_public).decode().rstrip("=")


class Looking:
    """
    A Tor that asks directories for the descriptor of C{seat}, and its connection.

    ``held``: the revision that each directory gives; C{None} or none: it has none. ``deaf``: those that never answer.
    It stands in for a C{TorInstance}.
    """

    def __init__(self, seat: SeatPlan, directories: tuple[str, ...], clock: Clock) -> None:
        self.name = "scout"
        self.seat = seat
        self.held: dict[str, int | None] = {}
        self.deaf: set[str] = set()
        self.tor = FakeTor(relays=set(directories))
        self.endpoint = FakeEndpoint(self.tor)
        connecting: Deferred[TorControl] = deferred(connect(self.endpoint, clock))
        self.flush()
        self.control: TorControl | None = self.result(connecting)
        assert self.control is not None
        listening = deferred(self.control.listen())
        self.flush()
        self.result(listening)
        self._answered = 0

    def result(self, done: Deferred[TorControl] | Deferred[None]) -> TorControl | None:
        """Return what has come of it."""
        results: list[TorControl | None] = []
        done.addCallback(results.append)
        return results[0]

    def flush(self) -> None:
        """Move all bytes."""
        assert self.endpoint.pump is not None
        self.endpoint.pump.flush()

    def answer(self) -> list[str]:
        """Let the directories answer what they have been asked since; return who was asked."""
        self.flush()
        asked, self._answered = self.tor.fetches[self._answered :], len(self.tor.fetches)
        for address, directory in asked:
            if directory not in self.deaf:
                self._answer(address, directory)
        self.flush()
        return [directory for _, directory in asked]

    def _answer(self, address: str, directory: str) -> None:
        revision = self.held.get(directory)
        body = ""
        if revision is None:
            reason = f"NO_AUTH ${directory}~r {key(self.seat)} REASON=NOT_FOUND"
            self.tor.emit(f"HS_DESC FAILED {address} {reason}")
        else:
            body = text(self.seat, revision).decode().rstrip("\n")
        self.tor.emit(f"HS_DESC_CONTENT {address} {key(self.seat)} ${directory}~r\n{body}")
