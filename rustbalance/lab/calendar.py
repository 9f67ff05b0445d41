"""
The day of a private network.

Owns: telling which segment of its short day a network is in. In: a consensus; out: ``Day``. Pure.
"""

from dataclasses import dataclass
from enum import StrEnum

from rustbalance.onion.consensus import Consensus
from rustbalance.onion.periods import between_period_and_srv, period_length, srv_run_length, srv_run_start

ANY_LENGTH = 1440


class Segment(StrEnum):
    """The two parts of a day, in which clients use one or the other descriptor of a service (rend-spec-v3 2.2.1)."""

    SRV_TO_PERIOD = "SRV to TP"
    PERIOD_TO_SRV = "TP to SRV"


@dataclass(frozen=True)
class Day:
    """How far the day is: ``elapsed`` of ``length`` seconds since the last shared random value was made."""

    segment: Segment
    elapsed: int
    length: int

    def __str__(self) -> str:
        return f"segment {self.segment}, {self.elapsed} of {self.length} s into the day"


def day_of(consensus: Consensus) -> Day:
    """Return where in its day a test network is, by its consensus."""
    return day_at(consensus.valid_after, consensus.voting_interval)


def day_at(valid_after: int, interval: int) -> Day:
    """Return where in its day a test network is that made a consensus at ``valid_after``, every ``interval`` s."""
    length = period_length(interval, ANY_LENGTH, testing=True)
    late = between_period_and_srv(valid_after, interval, length)
    return Day(
        segment=Segment.PERIOD_TO_SRV if late else Segment.SRV_TO_PERIOD,
        elapsed=valid_after - srv_run_start(valid_after, interval),
        length=srv_run_length(interval),
    )
