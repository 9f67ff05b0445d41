"""Tests for L{rustbalance.onion.plan}."""

from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha3_256
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from rustbalance.onion.consensus import Consensus, Relay, parse_consensus, parse_microdescriptors
from rustbalance.onion.periods import TimePeriod, between_period_and_srv, disaster_srv, time_period
from rustbalance.onion.plan import NoDirectories, PublicationPlan, Seat, plan_publication
from tests.vectors import load

HOUR, DAY = 3600, 24 * 3600
MIDNIGHT = 20_000 * DAY
IDENTITY = bytes.fromhex(load("live_hsdirs")["identity_public"])
IDENTITIES = {f"md{number}": sha3_256(b"%d" % number).digest() for number in range(200)}
NEWER, OLDER = b"A" * 32, b"B" * 32
VALUES = {"A": NEWER, "B": OLDER, None: None}


def consensus(
    valid_after: int,
    current: bytes | None = NEWER,
    previous: bytes | None = OLDER,
    params: Mapping[str, int] | None = None,
    interval: int = HOUR,
) -> Consensus:
    """Return a consensus with 200 directories."""
    relays = tuple(Relay(f"{number:040X}", f"r{number}", f"md{number}") for number in range(200))
    return Consensus(
        valid_after, valid_after + interval, valid_after + 3 * interval, params or {}, previous, current, relays
    )


def plan(found: Consensus, *, testing: bool = False) -> PublicationPlan:
    """Plan with all microdescriptors known."""
    return plan_publication(found, IDENTITIES, IDENTITY, testing=testing)


class LiveTests(SynchronousTestCase):
    """Beside what Tor itself decided."""

    def test_live_hsdirs(self) -> None:
        """Both descriptors, in both segments, with real and disaster values, go where tor 0.4.9.11 sent its own."""
        for vector in load("live_hsdirs")["vectors"]:
            found = self.planned(vector)
            self.assertEqual(found.seat, vector["descriptor"])
            self.assertEqual(found.period, TimePeriod(vector["period_num"], vector["period_length"]))
            self.assertEqual(found.blinded_public.hex(), vector["blinded_public"])
            self.assertEqual(list(found.directories), vector["hsdirs"])

    def planned(self, vector: dict[str, Any]) -> Any:
        """Return our plan for the descriptor of the vector."""
        current, previous = (
            bytes.fromhex(value) if value else None for value in (vector["srv_current"], vector["srv_previous"])
        )
        relays = tuple(Relay(name, "x", name) for name in vector["ring"])
        times = (vector["valid_after"], vector["fresh_until"], vector["fresh_until"] + 20)
        known = {name: bytes.fromhex(identity) for name, identity in vector["ring"].items()}
        found = Consensus(*times, params={}, previous_srv=previous, current_srv=current, relays=relays)
        both = plan_publication(found, known, IDENTITY, testing=vector["testing"])
        return next(seat for seat in both if seat.seat == vector["descriptor"])

    def test_live_consensus(self) -> None:
        """A real consensus, read from its text, gives two full sets of directories and misses nobody."""
        texts = load("live_consensus")
        identities = parse_microdescriptors(texts["md_all"].encode())
        found = plan_publication(parse_consensus(texts["consensus"].encode()), identities, IDENTITY, testing=True)
        self.assertEqual([len(seat.directories) for seat in found], [8, 8])
        self.assertEqual(found.missing_microdescriptors, 0)

    def test_reachability(self) -> None:
        """A client whose consensus is ahead or behind finds all its directories among ours, in each of Tor's cases."""
        for scenario in load("reachability_scenarios")["vectors"]:
            self.check(scenario)

    def check(self, scenario: dict[str, Any]) -> None:
        """Plan as the service, look as the client (three directories per replica, the descriptor of its segment)."""
        current, previous = (VALUES[each] for each in scenario["service_srv"])
        service = consensus(scenario["service_va"], current, previous)
        current, previous = (VALUES[each] for each in scenario["client_srv"])
        client = consensus(scenario["client_va"], current, previous, {"hsdir_spread_store": 3})
        for va, expected in ((service.valid_after, "service_between"), (client.valid_after, "client_between")):
            self.assertEqual(between_period_and_srv(va, HOUR, 1440), scenario[expected])
        looked_for = plan(client).second if scenario["client_between"] else plan(client).first
        stored = next(seat for seat in plan(service) if seat.seat == scenario["descriptor"])
        now = time_period(service.valid_after, HOUR, 1440)
        self.assertEqual(stored.period, now.shifted(scenario["service_period"]))
        self.assertEqual(looked_for.period, stored.period)
        self.assertLessEqual(set(looked_for.directories), set(stored.directories))


class SeatTests(SynchronousTestCase):
    """The table of rend-spec-v3 section 2.2.4."""

    def test_srv_to_period(self) -> None:
        """In the morning: this period with the previous value, the next one with the current value."""
        found = plan(consensus(MIDNIGHT + 9 * HOUR))
        now = time_period(MIDNIGHT + 9 * HOUR, HOUR, 1440)
        self.assertEqual([(seat.seat, seat.period, seat.srv) for seat in found], [
            (Seat.FIRST, now, OLDER), (Seat.SECOND, now.shifted(1), NEWER),
        ])  # fmt: skip

    def test_period_to_srv(self) -> None:
        """In the afternoon: the period that is over with the previous value, this one with the current value."""
        found = plan(consensus(MIDNIGHT + 15 * HOUR))
        now = time_period(MIDNIGHT + 15 * HOUR, HOUR, 1440)
        self.assertEqual([(seat.seat, seat.period, seat.srv) for seat in found], [
            (Seat.FIRST, now.shifted(-1), OLDER), (Seat.SECOND, now, NEWER),
        ])  # fmt: skip

    def test_visited(self) -> None:
        """Clients fetch the descriptor of the period that they are in: the second one from noon to midnight."""
        for hour, seat in ((0, Seat.FIRST), (11, Seat.FIRST), (12, Seat.SECOND), (23, Seat.SECOND)):
            found = plan(consensus(MIDNIGHT + hour * HOUR))
            self.assertEqual(found.visited, seat)
            visited = next(each for each in found if each.seat is seat)
            self.assertEqual(visited.period, time_period(MIDNIGHT + hour * HOUR, HOUR, 1440))

    def test_runs(self) -> None:
        """The counter of the second descriptor counts from midnight, that of the first from the midnight before."""
        for hour in (0, 11, 12, 23):
            found = plan(consensus(MIDNIGHT + hour * HOUR))
            self.assertEqual([seat.srv_run_start for seat in found], [MIDNIGHT - DAY, MIDNIGHT])

    def test_noon_changes_nothing(self) -> None:
        """The two descriptors stay as they are when a period begins: only clients go over from one to the other."""
        before, after = plan(consensus(MIDNIGHT + 11 * HOUR)), plan(consensus(MIDNIGHT + 12 * HOUR))
        self.assertEqual(list(before), list(after))

    def test_midnight_rotates(self) -> None:
        """With the next shared random value the second descriptor becomes the first, and keeps its directories."""
        before = plan(consensus(MIDNIGHT + 23 * HOUR))
        after = plan(consensus(MIDNIGHT + 24 * HOUR, current=b"C" * 32, previous=NEWER))
        self.assertEqual(replace(before.second, seat=Seat.FIRST), after.first)
        self.assertEqual(after.second.period, before.second.period.shifted(1))

    def test_disaster_for_one_value(self) -> None:
        """A missing value is replaced by itself; the other stays what it is."""
        found = plan(consensus(MIDNIGHT, current=None))
        self.assertEqual(found.first.srv, OLDER)
        self.assertEqual(found.second.srv, disaster_srv(found.second.period))

    def test_voting_interval(self) -> None:
        """On a network that votes every ten minutes, day and period follow the votes and the parameter."""
        params = {"hsdir_interval": 240}
        found = plan(consensus(MIDNIGHT, params=params, interval=600))
        self.assertEqual(found.second.srv_run_start - found.first.srv_run_start, 24 * 600)
        self.assertEqual(found.first.period, TimePeriod((MIDNIGHT - 12 * 600) // (240 * 60), 240))

    def test_testing_network(self) -> None:
        """With TestingTorNetwork a period lasts 24 votes, whatever the parameter says."""
        found = plan(consensus(MIDNIGHT, params={"hsdir_interval": 60}, interval=20), testing=True)
        self.assertEqual(found.first.period.length, 8)


class PlanTests(SynchronousTestCase):
    """What the rest of the daemon asks a plan."""

    def test_parameters(self) -> None:
        """Replicas, spread and size are the consensus' business, within their ranges."""
        params = {"hsdir_n_replicas": 3, "hsdir_spread_store": 5, "HSV3MaxDescriptorSize": 40_000}
        found = plan(consensus(MIDNIGHT, params=params))
        self.assertEqual(len(found.first.directories), 15)
        self.assertEqual(found.max_descriptor_size, 40_000)
        self.assertEqual(len(plan(consensus(MIDNIGHT, params={"hsdir_n_replicas": 0})).first.directories), 4)

    def test_live(self) -> None:
        """A plan is good for a day past the consensus it comes from."""
        found = plan(consensus(MIDNIGHT))
        self.assertTrue(found.live(MIDNIGHT + 3 * HOUR + DAY))
        self.assertFalse(found.live(MIDNIGHT + 3 * HOUR + DAY + 1))
        self.assertFalse(found.live(MIDNIGHT - DAY - 1))

    def test_missing_microdescriptors(self) -> None:
        """A directory whose identity Tor does not know yet is counted and not used; a relay that is none is neither."""
        known = {digest: identity for digest, identity in IDENTITIES.items() if digest not in ("md3", "md4")}
        given = consensus(MIDNIGHT)
        given = replace(given, relays=(*given.relays, Relay("F" * 40, "plain", "md0", hsdir=False)))
        found = plan_publication(given, known, IDENTITY, testing=False)
        self.assertEqual(found.missing_microdescriptors, 2)
        everywhere = plan_publication(
            replace(given, params={"hsdir_spread_store": 128}), known, IDENTITY, testing=False
        ).first.directories
        self.assertEqual(len(everywhere), 198)

    def test_no_directories(self) -> None:
        """Without one microdescriptor there is nothing to plan."""
        self.assertRaises(NoDirectories, plan_publication, consensus(MIDNIGHT), {}, IDENTITY, testing=False)

    def test_equal_plans(self) -> None:
        """The same consensus gives an equal plan, so that a change can be told by comparing."""
        self.assertEqual(plan(consensus(MIDNIGHT)), plan(consensus(MIDNIGHT)))
        self.assertNotEqual(plan(consensus(MIDNIGHT)).second, plan(consensus(MIDNIGHT, current=None)).second)
