"""
What visits to our own address add up to.

Owns: how a visit may end, the failures in a row, and which node was seen when. In: outcomes, the time; out: what each
of them means. Pure.

A visit reaches any of the nodes. One that passes says nothing of the others, and one that fails may be another node's
fault: so it is written down who has answered, and a node that has points and never answers is noticed.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum, StrEnum, auto
from typing import Final

from rustbalance.moment import Moment
from rustbalance.ops.status import Sighting

#: A node has been overlooked when so many visits for each node that has points were answered by others. Points are not
#: asked all alike, but where all are well even a node that gets a third of its share is overlooked once in 3,000 times.
PATIENCE: Final = 24


class End(StrEnum):
    """How a visit ended; that of an onion service says Tor (socks-extensions, ExtendedErrors)."""

    PASSED = "passed"
    STRANGE = "another answer came"
    LOOKUP = "no descriptor was found"
    INTRODUCTION = "no introduction point worked"
    RENDEZVOUS = "the service did not come to the rendezvous"
    BROKEN = "no connection came about, or it broke"
    LATE = "nothing came in time"
    NO_SOCKS = "the Tor that the visit was to go through takes no connections"


@dataclass(frozen=True)
class Outcome:
    """
    What became of a visit, which took ``seconds``. ``detail`` is for the log.

    ``node`` and ``instance``: who has answered, as far as that is proved.
    """

    end: End
    detail: str
    seconds: float = 0.0
    node: str | None = None
    instance: str | None = None


class Verdict(Enum):
    """What an outcome means after those before it: ``ALARM`` once in a row of failures, ``RECOVERED`` after one."""

    PASSED = auto()
    RECOVERED = auto()
    FAILED = auto()
    ALARM = auto()
    STILL = auto()


@dataclass
class _Seen:
    at: float
    count: int = 0


class Visits:
    """
    The visits since the start: ``count`` of them, of which the last ``failures`` have failed in a row.

    ``ends``: how those have ended, up to ``threshold`` of them, the latest last. ``passed_at``: the monotonic time of
    the last one that passed.
    """

    def __init__(self, threshold: int) -> None:
        self.count = self.failures = 0
        self.ends: tuple[End, ...] = ()
        self.passed_at: float | None = None
        self._threshold = threshold
        self._seen: dict[tuple[str, str], _Seen] = {}
        self._missed: dict[str, int] = {}

    @property
    def alarmed(self) -> bool:
        """Whether so many have failed in a row that it matters."""
        return self.failures >= self._threshold

    def record(self, outcome: Outcome, sources: Collection[str], now: Moment) -> Verdict:
        """Take note of a visit; ``sources`` are the nodes whose points are published."""
        self.count += 1
        if outcome.end is not End.PASSED:
            self.failures += 1
            self.ends = (*self.ends, outcome.end)[-self._threshold :]
            return self._failed()
        alarmed = self.alarmed
        self.failures, self.ends = 0, ()
        self.passed_at = now.mono
        if outcome.node is not None:
            self._see(outcome.node, outcome.instance or "", sources, now)
        return Verdict.RECOVERED if alarmed else Verdict.PASSED

    def _failed(self) -> Verdict:
        if not self.alarmed:
            return Verdict.FAILED
        return Verdict.ALARM if self.failures == self._threshold else Verdict.STILL

    def _see(self, node: str, instance: str, sources: Collection[str], now: Moment) -> None:
        seen = self._seen.setdefault((node, instance), _Seen(now.mono))
        seen.at = now.mono
        seen.count += 1
        self._missed = {source: self._missed.get(source, 0) + 1 for source in sources}
        if node in self._missed:
            self._missed[node] = 0

    def seen(self, now: Moment) -> tuple[Sighting, ...]:
        """Return who has answered, with how long ago that was."""
        return tuple(
            Sighting(node=node, instance=instance, age_secs=now.mono - seen.at, count=seen.count)
            for (node, instance), seen in sorted(self._seen.items())
        )

    def overlooked(self) -> tuple[str, ...]:
        """Return the nodes whose points are published and which have not answered for too many visits."""
        limit = PATIENCE * len(self._missed)
        return tuple(sorted(node for node, missed in self._missed.items() if missed >= limit))
