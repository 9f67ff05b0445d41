"""
Whether the clock of this machine is right.

Owns: what speaks for and against it. In: the consensus, what Tor says of the clock, how the other nodes' clocks differ
from ours; out: sentences. Pure.

A consensus is made hours before it is replaced, so how old it is says nothing; but one from the future proves that our
clock is behind. Who of two is wrong nobody can tell; of three and more, the one that differs from most.
"""

from collections.abc import Collection, Iterator, Mapping
from statistics import median_high, median_low

from rustbalance.moment import Moment

#: Seconds for which a word of Tor about the clock counts.
REMEMBERED = 3600.0


class ClockCheck:
    """``tolerance``: seconds by which clocks may differ."""

    def __init__(self, tolerance: float) -> None:
        self._tolerance = tolerance
        self._skew: tuple[float, float] | None = None

    def skewed(self, ahead: float, now: Moment) -> None:
        """A relay or a consensus has shown Tor that our clock is ``ahead`` by so many seconds (negative: behind)."""
        self._skew = (ahead, now.mono)

    def jumped(self) -> None:
        """Our clock has been set: what was said of it before is void."""
        self._skew = None

    def sentences(self, valid_after: int | None, offsets: Mapping[str, float], now: Moment) -> tuple[str, ...]:
        """
        Return what is wrong with the clock; nothing when nothing is known to be.

        :param valid_after: of the latest consensus, Unix time. :param offsets: by node, how many seconds its clock is
            ahead of ours.
        """
        return (*self._by_consensus(valid_after, now), *self._by_tor(now), *self._by_others(offsets))

    def _by_consensus(self, valid_after: int | None, now: Moment) -> Iterator[str]:
        if valid_after is not None and now.wall < valid_after - self._tolerance:
            yield f"the clock of this machine is behind by {valid_after - now.wall:.0f} s or more: {ADVICE}"

    def _by_tor(self, now: Moment) -> Iterator[str]:
        if self._skew is not None and now.mono - self._skew[1] < REMEMBERED:
            yield f"Tor finds the clock of this machine {_words(self._skew[0])}: {ADVICE}"

    def _by_others(self, offsets: Mapping[str, float]) -> Iterator[str]:
        if len(offsets) == 1:
            [(node, ahead)] = offsets.items()
            if abs(ahead) > self._tolerance:
                yield f"the clocks of this node and of {node} differ by {abs(ahead):.0f} s: set the one that is wrong"
        elif offsets and abs(behind := _most(offsets.values())) > self._tolerance:
            yield f"the clock of this machine is {_words(-behind)}, compared with most other nodes': {ADVICE}"


ADVICE = "set it, and have it kept right (NTP)"


def _most(offsets: Collection[float]) -> float:
    """Return by how much most of them differ at least: of two that disagree about us, the better one counts."""
    return min(median_low(offsets), median_high(offsets), key=abs)


def _words(ahead: float) -> str:
    return f"{abs(ahead):.0f} s {'ahead' if ahead > 0 else 'behind'}"
