"""
Looking after the node.

Owns: the look at its status every few seconds, and at its clock. In: the status, what Tor and other nodes say of the
time; out: failures to the repairs, sentences.
"""

from collections.abc import Callable, Mapping
from typing import Any

from twisted.application.service import Service
from twisted.logger import Logger

from rustbalance.health.clock import ClockCheck
from rustbalance.health.findings import Findings
from rustbalance.health.repairs import Repairer
from rustbalance.life import Periodic
from rustbalance.life import now as read_clocks
from rustbalance.moment import Moment
from rustbalance.ops.status import NodeStatus
from rustbalance.tor.control import TorControl
from rustbalance.tor.events import ClockJumped, ClockSkewed, Event

#: Seconds between two looks.
LOOK = 5.0


class Watch(Service):
    """
    Watches the node that ``status`` tells of.

    ``valid_after``: of the latest consensus, None while there is none. ``offsets``: by how many seconds the clock of
    each other node is ahead of ours.
    """

    log = Logger()

    def __init__(
        self,
        status: Callable[[], NodeStatus],
        repairs: Repairer,
        clock: ClockCheck,
        valid_after: Callable[[], int | None],
        offsets: Callable[[], Mapping[str, float]],
        reactor: Any,
        clocks: Callable[[], Moment] = read_clocks,
    ) -> None:
        self.setName("watch")
        self._status = status
        self._repairs = repairs
        self._clock = clock
        self._valid_after = valid_after
        self._offsets = offsets
        self._now = clocks
        self._findings = Findings()
        self._said: tuple[str, ...] = ()
        self._looks = Periodic("looks at the node", LOOK, self._look, reactor)

    def startService(self) -> None:
        """Begin to look."""
        super().startService()
        self._looks.startService()

    def stopService(self) -> None:
        """Look no more: what ends now is meant to."""
        super().stopService()
        self._looks.stopService()

    def problems(self) -> tuple[str, ...]:
        """Return what is wrong, with what is being done about it, and what is wrong with the clock."""
        return (*self._repairs.problems(), *self._of_clock())

    def on_ready(self, control: TorControl) -> None:
        """A Tor serves; its status tells."""

    def on_lost(self, reason: str) -> None:
        """A Tor serves no longer; its status tells."""

    def on_event(self, event: Event) -> None:
        """Take note of what a Tor says of the clock."""
        match event:
            case ClockSkewed(ahead):
                self._clock.skewed(ahead, self._now())
            case ClockJumped(seconds):
                self._clock.jumped()
                self.log.warn("the clock of this machine jumped by {seconds:.0f} s, says Tor", seconds=seconds)

    def _look(self) -> None:
        lasting, over = self._findings.look(self._status(), self._now())
        for failure, subject in over:
            self._repairs.recovered(failure, subject)
        for failure, subject in lasting:
            self._repairs.report(failure, subject)
        self._tell_of_clock()

    def _tell_of_clock(self) -> None:
        """Say it once for each kind of evidence, and once when all is well again."""
        found = self._of_clock()
        if len(found) > len(self._said):
            for sentence in found:
                self.log.error("{sentence}", sentence=sentence)
        elif self._said and not found:
            self.log.info("the clock of this machine is right again")
        self._said = found

    def _of_clock(self) -> tuple[str, ...]:
        return self._clock.sentences(self._valid_after(), self._offsets(), self._now())
