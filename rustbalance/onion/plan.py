"""
What has to be published where: the two descriptors of an onion service.

Owns: the choice of period, shared random value and directories for the first and the second descriptor, in both
segments of the day. In: a consensus, the ed25519 identities of its relays, a public identity key; out:
``PublicationPlan``. Time is the consensus' own.
Source: rend-spec-v3 sections 2.2.1 and 2.2.4; C tor's hs_service.c.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from rustbalance.onion.consensus import Consensus
from rustbalance.onion.keys import blind_public
from rustbalance.onion.parameters import (
    HSDIR_INTERVAL,
    HSDIR_N_REPLICAS,
    HSDIR_SPREAD_STORE,
    MAX_DESCRIPTOR_SIZE,
)
from rustbalance.onion.periods import (
    TimePeriod,
    between_period_and_srv,
    period_length,
    reasonably_live,
    shared_random_for,
    srv_run_length,
    srv_run_start,
    time_period,
)
from rustbalance.onion.ring import Ring


class NoDirectories(LookupError):
    """No relay of the consensus can store a descriptor, as far as we know its ed25519 identity."""


class Seat(StrEnum):
    """Which of the two descriptors that a service keeps published at any time."""

    FIRST = "first"
    SECOND = "second"


@dataclass(frozen=True)
class SeatPlan:
    """
    One descriptor: its period, the blinded key it is for, and where it goes.

    ``srv_run_start``: Unix time from which its revision counter counts. ``directories``: fingerprints in ring order.
    """

    seat: Seat
    period: TimePeriod
    blinded_public: bytes
    srv: bytes
    srv_run_start: int
    directories: tuple[str, ...]


@dataclass(frozen=True)
class PublicationPlan:
    """
    Both descriptors, as of one consensus; equal plans ask for the same uploads.

    ``max_descriptor_size``: bytes that a descriptor must stay under. ``visited``: the one that clients with this
    consensus fetch.
    ``missing_microdescriptors``: directories that are not on our ring since their ed25519 identity is not known; while
    there are many, Tor is still fetching and the ring is not yet to be trusted.
    """

    valid_after: int
    valid_until: int
    first: SeatPlan
    second: SeatPlan
    max_descriptor_size: int
    missing_microdescriptors: int
    visited: Seat = Seat.FIRST

    def __iter__(self) -> Iterator[SeatPlan]:
        yield self.first
        yield self.second

    def live(self, now: float) -> bool:
        """Tell whether the consensus is still good for publishing at the Unix time ``now``."""
        return reasonably_live(self.valid_after, self.valid_until, now)


def plan_publication(
    consensus: Consensus, ed25519_ids: Mapping[str, bytes], identity_public: bytes, *, testing: bool
) -> PublicationPlan:
    """
    Decide what to publish where for the service ``identity_public`` (32 bytes).

    ``ed25519_ids``: from ``parse_microdescriptors``. ``testing``: the network runs with TestingTorNetwork.

    :raises NoDirectories: the ring is empty.
    """
    known = {
        relay.fingerprint: ed25519_ids[relay.microdescriptor]
        for relay in consensus.relays
        if relay.hsdir and relay.microdescriptor in ed25519_ids
    }
    if not known:
        raise NoDirectories("the consensus has no directory whose microdescriptor is known")
    first, second = (
        _seat_plan(seat, period, srv, start, consensus.params, known, identity_public)
        for seat, period, srv, start in _seats(consensus, testing)
    )
    return PublicationPlan(
        consensus.valid_after,
        consensus.valid_until,
        first,
        second,
        MAX_DESCRIPTOR_SIZE.of(consensus.params),
        sum(relay.hsdir for relay in consensus.relays) - len(known),
        _visited(consensus, testing),
    )


def _visited(consensus: Consensus, testing: bool) -> Seat:
    """Clients always fetch the descriptor of the period that they are in (section 2.2.4)."""
    interval = consensus.voting_interval
    length = period_length(interval, HSDIR_INTERVAL.of(consensus.params), testing=testing)
    return Seat.SECOND if between_period_and_srv(consensus.valid_after, interval, length) else Seat.FIRST


def _seats(consensus: Consensus, testing: bool) -> Iterator[tuple[Seat, TimePeriod, bytes | None, int]]:
    """
    Yield the period, shared random value and start of the run for either descriptor.

    One rule gives the whole table of section 2.2.4: the value for a period is the one that was current when the period
    began. So the first descriptor always goes with the previous value and the second with the current one.
    """
    interval = consensus.voting_interval
    length = period_length(interval, HSDIR_INTERVAL.of(consensus.params), testing=testing)
    current = time_period(consensus.valid_after, interval, length)
    period = current.shifted(-1) if between_period_and_srv(consensus.valid_after, interval, length) else current
    run = srv_run_start(consensus.valid_after, interval)
    yield Seat.FIRST, period, consensus.previous_srv, run - srv_run_length(interval)
    yield Seat.SECOND, period.shifted(1), consensus.current_srv, run


def _seat_plan(
    seat: Seat,
    period: TimePeriod,
    value: bytes | None,
    run: int,
    params: Mapping[str, int],
    directories: Mapping[str, bytes],
    identity_public: bytes,
) -> SeatPlan:
    blinded = blind_public(identity_public, period)
    srv = shared_random_for(period, value)
    ring = Ring(directories, srv, period)
    responsible = ring.responsible(blinded, HSDIR_N_REPLICAS.of(params), HSDIR_SPREAD_STORE.of(params))
    return SeatPlan(seat, period, blinded, srv, run, responsible)
