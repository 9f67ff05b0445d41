"""
Time as onion services count it: periods, shared random runs and the two segments of the day.

Owns: which period an instant is in, which half of the day it is, which shared random value goes with which period.
In: seconds from a consensus (valid-after, voting interval) and its parameters, never a clock; out: periods, instants.
Source: rend-spec-v3 sections 2.2.1, 2.2.4 and 2.3; C tor's hs_common.c and shared_random_client.c where they differ.
"""

import hashlib
from dataclasses import dataclass

RUN_INTERVALS = 24
"""Voting intervals in one run of the shared random protocol (srv-spec section 3.1: two phases of twelve rounds)."""
OFFSET_INTERVALS = 12
"""Voting intervals between the start of a run and the start of a time period (rend-spec-v3 section 2.2.1)."""
REASONABLY_LIVE = 24 * 3600
"""Seconds by which a consensus may be early or late and still be used (C tor's REASONABLY_LIVE_TIME)."""


@dataclass(frozen=True)
class TimePeriod:
    """Time period ``number`` of a network whose periods last ``length`` minutes."""

    number: int
    length: int

    def shifted(self, periods: int) -> "TimePeriod":
        """Return the period that comes so many later (earlier, when negative)."""
        return TimePeriod(self.number + periods, self.length)

    def start(self, voting_interval: int) -> int:
        """Return the Unix time at which this period begins, on a network that votes so often (seconds)."""
        return self.number * self.length * 60 + OFFSET_INTERVALS * voting_interval


def period_length(voting_interval: int, hsdir_interval: int, *, testing: bool) -> int:
    """
    Return the length of a time period in minutes.

    ``voting_interval`` is in seconds, ``hsdir_interval`` (a consensus parameter) in minutes. With TestingTorNetwork a
    period is as long as a shared random run, in whole minutes, whatever the parameter says.
    """
    return max(1, RUN_INTERVALS * voting_interval // 60) if testing else hsdir_interval


def time_period(at: int, voting_interval: int, length: int) -> TimePeriod:
    """Return the period in which the Unix time ``at`` lies; like C tor, in whole minutes."""
    minutes = at // 60 - OFFSET_INTERVALS * voting_interval // 60
    return TimePeriod(minutes // length, length)


def srv_run_start(valid_after: int, voting_interval: int) -> int:
    """Return the Unix time at which the shared random run of a consensus began; the one before began a run earlier."""
    rounds = valid_after // voting_interval % RUN_INTERVALS
    return valid_after - rounds * voting_interval


def srv_run_length(voting_interval: int) -> int:
    """Return the length of a shared random run in seconds."""
    return RUN_INTERVALS * voting_interval


def between_period_and_srv(valid_after: int, voting_interval: int, length: int) -> bool:
    """Tell whether a period has begun since the last shared random value (12:00 to 24:00 UTC on the real network)."""
    run_start = srv_run_start(valid_after, voting_interval)
    next_start = time_period(run_start, voting_interval, length).shifted(1).start(voting_interval)
    return not run_start <= valid_after < next_start


def disaster_srv(period: TimePeriod) -> bytes:
    """Return the value that stands in for a shared random value which the consensus does not have (section 2.3.1)."""
    return hashlib.sha3_256(b"shared-random-disaster" + int8(period.length) + int8(period.number)).digest()


def shared_random_for(period: TimePeriod, value: bytes | None) -> bytes:
    """Return ``value`` of the consensus, or the disaster value of ``period`` when there is none."""
    return disaster_srv(period) if value is None else value


def reasonably_live(valid_after: int, valid_until: int, now: float) -> bool:
    """Tell whether a consensus may be used at the Unix time ``now``, as C tor decides it."""
    return valid_after - REASONABLY_LIVE <= now <= valid_until + REASONABLY_LIVE


def int8(number: int) -> bytes:
    """Return ``number`` as rend-spec-v3's INT_8: eight bytes, big-endian."""
    return number.to_bytes(8, "big")
