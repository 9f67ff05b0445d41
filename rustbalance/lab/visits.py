"""
What visitors experienced.

Owns: the record of visits and its figures. In: ``Visit`` values with the time at which they ended; out: counts,
percentages, gaps, percentiles. Pure.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Visit:
    """
    One page fetched, or not. ``seconds`` from the first byte sent to the last received; ``error`` says why not.

    ``ok`` means that a whole answer with a status below 400 came in time. ``size`` is the length of the body in bytes,
    ``body`` its first 64 KiB.
    """

    ok: bool
    seconds: float
    status: int | None = None
    error: str | None = None
    size: int = 0
    body: bytes = b""


@dataclass
class VisitLog:
    """Every visit since ``began`` (seconds on the clock by which the visits are recorded)."""

    began: float
    _seconds: list[float] = field(default_factory=list)
    _errors: list[str] = field(default_factory=list)
    _last_success: float | None = None
    _longest_gap: float = 0.0

    def record(self, ended: float, visit: Visit) -> None:
        """Add a visit that ended at ``ended``; call it in the order in which visits end."""
        if not visit.ok:
            self._errors.append(visit.error or f"status {visit.status}")
            return
        self._seconds.append(visit.seconds)
        self._longest_gap = self.longest_gap(ended)
        self._last_success = ended

    @property
    def visits(self) -> int:
        """How many there were."""
        return self.succeeded + len(self._errors)

    @property
    def succeeded(self) -> int:
        """How many went well."""
        return len(self._seconds)

    @property
    def errors(self) -> tuple[str, ...]:
        """What went wrong, visit by visit."""
        return tuple(self._errors)

    @property
    def percent_ok(self) -> float:
        """Share of visits that went well; 0 when there were none."""
        return 100.0 * self.succeeded / self.visits if self.visits else 0.0

    def longest_gap(self, now: float) -> float:
        """Return the longest time without a success up to ``now``, in seconds, from the beginning on."""
        since = self.began if self._last_success is None else self._last_success
        return max(self._longest_gap, now - since)

    def percentile(self, share: float) -> float:
        """Return the duration in seconds below which ``share`` (0 to 1) of the successes lie; 0 when there are none."""
        return percentile(self._seconds, share)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value with at least ``share`` of all values at or below it (nearest rank)."""
    if not values:
        return 0.0
    rank = max(1, -(-len(values) * share // 1))
    return sorted(values)[int(rank) - 1]
